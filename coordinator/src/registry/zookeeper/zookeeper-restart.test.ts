import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { deferred } from '@popmq/kit'
import { applied, create, seen, set, toldUntil, unexpected } from '../testing/registry-case.ts'
import { TestZookeeperServer } from '../testing/zookeeper-server.ts'
import { testRegistry } from '../testing/zookeeper-world.ts'

const server = await TestZookeeperServer.start()
await server.ready()
after(() => server.stop())

void test('a killed server that comes back finds the same sessions, nodes and watches', async (t) => {
  const registry = testRegistry(server.hosts, { sessionMs: 10_000, operationMs: 10_000 })
  t.after(() => registry.close())
  const session = await registry.openSession(unexpected)
  const other = await registry.openSession(unexpected)
  await session.commit([create('/mine', 'x', true)])
  await other.read('/mine')
  const told = toldUntil(other, '/mine', async () => (await seen(other, '/mine'))?.[0] === 'y')
  await server.kill()
  const late = session.commit([set('/mine', 'y', 1)])
  await server.launch()
  // What was on its way at the crash is unknown, and waits for the server otherwise.
  if ((await late).kind === 'unknown') await session.commit([set('/mine', 'y', 1)])
  await told
  assert.equal((await session.read('/mine'))?.ephemeral, true)
  // Still the session that made it: the node goes with it, and at once.
  await session.close()
  assert.equal(await other.read('/mine'), undefined)
})

void test('a server that stands still for longer than the session lives has lost it', async (t) => {
  const registry = testRegistry(server.hosts, { sessionMs: 1_000, operationMs: 5_000 })
  t.after(() => registry.close())
  const lost = deferred<Error>()
  const session = await registry.openSession(lost.resolve)
  server.pause()
  const read = assert.rejects(session.read('/'), /no (?:server|answer)|nothing was heard/)
  assert.match((await lost.promise).message, /no server answered for 1000 ms/)
  await read
  server.resume()
  const next = await registry.openSession(unexpected)
  assert.deepEqual(await next.children('/'), [])
})

void test('a server whose data was wiped ends the session with a reason, and serves a new one', async (t) => {
  const registry = testRegistry(server.hosts, { sessionMs: 2_000, operationMs: 10_000 })
  t.after(() => registry.close())
  const lost = deferred<Error>()
  const session = await registry.openSession(lost.resolve)
  await session.commit([create('/a')])
  await server.kill()
  await server.wipe()
  await server.launch()
  assert.match((await lost.promise).message, /older data than this session has seen/)
  const next = await registry.openSession(unexpected)
  assert.deepEqual(await next.children('/'), [])
  assert.deepEqual(await next.commit([create('/a')]), applied)
})
