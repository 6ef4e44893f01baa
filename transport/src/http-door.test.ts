import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createDoor } from './http-door.ts'
import { RawSocket, upgradeRequest } from './testing/raw-socket.ts'

void test('an upgrade whose headers never end is cut off in time, and others are served meanwhile', async () => {
  let upgrades = 0
  const door = createDoor({
    http: () => ({ status: 200, contentType: 'text/plain', body: 'ok' }),
    hosts: new Set(),
    maxConnections: 100,
    onDefect: () => undefined,
    upgrade: (_, socket) => {
      upgrades += 1
      socket.destroy()
    },
    timeouts: { headersMs: 200, requestMs: 300, checkMs: 20 },
  })
  await new Promise<void>((resolve) => door.listen(0, '127.0.0.1', resolve))
  const bound = door.address()
  const address = `127.0.0.1:${typeof bound === 'object' && bound !== null ? bound.port : 0}`
  const slow = await Promise.all(Array.from({ length: 20 }, () => RawSocket.open(address)))
  for (const raw of slow) raw.write(upgradeRequest(`Host: ${address}`).slice(0, -2))
  const quick = await RawSocket.open(address)
  quick.write(`GET / HTTP/1.1\r\nHost: ${address}\r\nConnection: close\r\n\r\n`)
  assert.match(String(await quick.untilClosed()), /^HTTP\/1\.1 200 /)
  for (const raw of slow) assert.match(String(await raw.untilClosed()), /^(HTTP\/1\.1 408 |$)/)
  assert.equal(upgrades, 0)
  await new Promise((resolve) => door.close(resolve))
})
