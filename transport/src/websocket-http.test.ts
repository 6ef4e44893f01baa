import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemClock } from '@popmq/kit'
import { assertServed, echoServer } from './testing/echo.ts'
import { RawSocket, upgradeRequest } from './testing/raw-socket.ts'
import { webSocketTransport } from './websocket.ts'

void test('plain HTTP: who is answered what', async (t) => {
  const defects: unknown[] = []
  const transport = webSocketTransport({
    hosts: ['mq.internal'],
    onDefect: (error) => defects.push(error),
    http: ({ path }) => {
      if (path === '/broken') throw new TypeError('oops')
      if (path === '/slow')
        return Promise.resolve({
          status: 200,
          contentType: 'text/plain',
          body: Uint8Array.of(111, 107),
        })
      return path === '/metrics'
        ? { status: 200, contentType: 'text/plain', body: 'up 1\n' }
        : undefined
    },
  })
  const server = await echoServer({ clock: systemClock, transport })
  t.after(() => server.close())
  const healthy = await server.connect()
  const { address } = server
  const port = address.split(':')[1]
  const get = (path: string, ...headers: string[]): string =>
    [`GET ${path} HTTP/1.1`, ...headers, 'Connection: close', '', ''].join('\r\n')
  const host = `Host: ${address}`
  const rows: [string, string, number][] = [
    ['the handler’s answer', get('/metrics', host), 200],
    ['with a query', get('/metrics?name=up', host), 200],
    ['a promised answer', get('/slow', host), 200],
    ['localhost', get('/metrics', `Host: localhost:${port}`), 200],
    ['an IPv6 address', get('/metrics', `Host: [::1]:${port}`), 200],
    ['a name that was given', get('/metrics', 'Host: MQ.internal'), 200],
    ['an unknown path', get('/', host), 404],
    ['a path outside', get('/..%2f..%2fetc/passwd', host), 404],
    ['a handler that throws', get('/broken', host), 500],
    ['the path of the WebSocket', get('/popmq', host), 426],
    ['no Host', get('/metrics'), 400],
    ['no Host in HTTP/1.0', 'GET /metrics HTTP/1.0\r\n\r\n', 400],
    ['an empty Host', get('/metrics', 'Host: '), 400],
    ['an evil Host', get('/metrics', 'Host: evil.test'), 421],
    [
      'a Host that looks like an address',
      get('/metrics', `Host: 127.0.0.1.evil.test:${port}`),
      421,
    ],
    ['a Host with a user', get('/metrics', `Host: evil.test@127.0.0.1`), 421],
    ['TRACE', `TRACE /metrics HTTP/1.1\r\n${host}\r\n\r\n`, 405],
    [
      'POST with a body that never comes',
      `POST /metrics HTTP/1.1\r\n${host}\r\nContent-Length: 100\r\n\r\n{`,
      405,
    ],
    ['a header of 64 KiB', get('/metrics', host, `X: ${'x'.repeat(65_536)}`), 431],
    [
      'two lengths',
      `POST / HTTP/1.1\r\n${host}\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n`,
      400,
    ],
    ['TLS', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', 400],
    ['an upgrade without Host', upgradeRequest(), 400],
    ['an upgrade with an evil Host', upgradeRequest('Host: evil.test'), 421],
    ['an upgrade from nowhere', upgradeRequest(host, 'Origin: null'), 403],
    [
      'an upgrade from another site',
      upgradeRequest(host, 'Origin: http://127.0.0.1.evil.test'),
      403,
    ],
    ['an upgrade from another port', upgradeRequest(host, 'Origin: http://127.0.0.1:1'), 403],
    [
      'an upgrade of a rebound name',
      upgradeRequest('Host: evil.test', 'Origin: http://evil.test'),
      421,
    ],
    ['an upgrade from this port', upgradeRequest(host, `Origin: http://${address}`), 101],
    ['an upgrade to another path', upgradeRequest(host).replace('/popmq', '/other'), 404],
    [
      'an upgrade with a token in its query',
      upgradeRequest(host).replace('/popmq', '/popmq?token=x'),
      404,
    ],
    ['an upgrade by POST', upgradeRequest(host).replace('GET', 'POST'), 405],
    ['an upgrade with a body', upgradeRequest(host, 'Content-Length: 2'), 400],
    ['an upgrade without a key', upgradeRequest(host).replace(/Sec-WebSocket-Key.*\r\n/, ''), 400],
  ]
  for (const [name, request, status] of rows) {
    const raw = await RawSocket.open(address)
    raw.write(request)
    const answer = String(
      status === 101
        ? await raw.until((bytes) => bytes.includes('\r\n\r\n'))
        : await raw.untilClosed(),
    )
    assert.equal(
      Number(/^HTTP\/1\.1 (\d{3}) /.exec(answer)?.[1]),
      status,
      `${name}: ${answer.slice(0, 200)}`,
    )
    raw.socket.destroy()
    await assertServed(healthy)
  }
  assert.equal(defects.length, 1)
})
