import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { deferred } from '@popmq/kit'
import { isMqError } from '@popmq/protocol'
import { FaultProxy, requestTypes } from '../testing/fault-proxy.ts'
import { applied, create, seen, set, toldUntil, unexpected } from '../testing/registry-case.ts'
import { TestZookeeperServer } from '../testing/zookeeper-server.ts'
import { freshRoot, RecordedLog, testRegistry } from '../testing/zookeeper-world.ts'
import { library } from './library.ts'

const server = await TestZookeeperServer.start({
  properties: ['-Dzookeeper.enforceQuota=true'],
})
await server.ready()
after(() => server.stop())

const unavailable = (error: unknown): boolean => isMqError(error, 'registry_unavailable')

void test('D6: more watches than one request can hold come back after a reconnect', async (t) => {
  const proxy = await FaultProxy.start(server.port)
  const registry = testRegistry(proxy.hosts)
  t.after(() => registry.close().then(() => proxy.close()))
  const session = await registry.openSession(unexpected)
  // With their names a request for all of them would have 1.2 MB.
  const paths = Array.from({ length: 5_000 }, (_, index) => `/${'n'.repeat(230)}-${index}`)
  const told = new Set<string>()
  let all = deferred()
  for (const path of paths) {
    session.watch(path, () => {
      told.add(path)
      if (told.size === paths.length) all.resolve()
    })
  }
  await all.promise
  told.clear()
  all = deferred()
  proxy.cut()
  await all.promise
  assert.equal(proxy.accepted, 2)
  assert.ok(proxy.requests.every(({ type }) => type !== requestTypes.setWatches))
  const last = paths[4_999] ?? ''
  const made = toldUntil(session, last, async () => (await session.read(last)) !== undefined)
  assert.deepEqual(await session.commit([create(last)]), applied)
  await made
})

void test('D7: after a reconnect authentication and watches go before what waits', async (t) => {
  const proxy = await FaultProxy.start(server.port)
  const log = new RecordedLog()
  const auth = { scheme: 'digest', user: 'popmq', password: 'secret' } as const
  const root = freshRoot()
  const registry = testRegistry(proxy.hosts + root, { auth, log })
  const stranger = testRegistry(server.hosts + root)
  t.after(() => Promise.all([registry.close(), stranger.close()]).then(() => proxy.close()))
  const session = await registry.openSession(unexpected)
  await session.commit([create('/a', 'ours')])
  session.watch('/a', () => undefined)
  await seen(session, '/a')
  proxy.mode = 'refuse'
  proxy.cut()
  await log.until('registry_disconnected')
  const waiting = [seen(session, '/a'), session.commit([set('/a', 'new', 1)])]
  proxy.mode = 'pass'
  assert.deepEqual(await Promise.all(waiting), [['ours', 1], applied])
  const types = proxy.requests
    .filter(({ connection }) => connection === proxy.accepted)
    .map(({ type }) => type)
  const { authenticate, exists, children, read, commit } = requestTypes
  // The commit fires the watch, which is then set again.
  assert.deepEqual(types.slice(0, 5), [authenticate, exists, children, read, commit])
  await assert.rejects(
    stranger.openSession(unexpected).then((other) => other.read('/a')),
    /NO_AUTH/,
  )
})

void test('a session whose user is refused is not opened, and says so', async () => {
  // The server lets any name and password of a digest pass, and refuses a scheme that it does not know.
  const auth = { scheme: 'bogus' as 'digest', user: 'popmq', password: 'secret' }
  const registry = testRegistry(server.hosts, { auth })
  await assert.rejects(registry.openSession(unexpected), /refused the name or password/)
  await registry.close()
})

void test('D8: a server that takes the connection and says nothing is left for another try', async (t) => {
  const proxy = await FaultProxy.start(server.port)
  const mute = await FaultProxy.start(server.port)
  mute.mode = 'mute'
  const hosts = `${mute.hosts},${proxy.hosts}${freshRoot()}`
  // The order in which servers are tried is drawn: this one keeps the order given.
  const random = { next: () => 0, fill: (target: Uint8Array) => target }
  const registry = testRegistry(hosts, { random, sessionMs: 2_000 })
  t.after(() => registry.close().then(() => Promise.all([proxy.close(), mute.close()])))
  const session = await registry.openSession(unexpected)
  assert.deepEqual(await session.children('/'), [])
  assert.deepEqual([mute.accepted, proxy.accepted], [1, 1])
})

void test('D9: a session may be closed before it connects and while it is disconnected', async () => {
  const proxy = await FaultProxy.start(server.port)
  proxy.mode = 'mute'
  const early = testRegistry(proxy.hosts, { operationMs: 200 })
  const opening = assert.rejects(early.openSession(unexpected), unavailable)
  await early.close()
  await opening
  await assert.rejects(early.openSession(unexpected), /was closed/)

  proxy.mode = 'pass'
  const log = new RecordedLog()
  const registry = testRegistry(proxy.hosts, { log })
  const session = await registry.openSession(unexpected)
  proxy.mode = 'refuse'
  proxy.cut()
  await log.until('registry_disconnected')
  await session.close()
  await session.close()
  await assert.rejects(session.read('/'), /the session was closed/)
  await registry.close()
  await proxy.close()
})

void test('D10: nodes without a value, IPv6, many watches of a node, calls from outside the library', async (t) => {
  const proxy = await FaultProxy.start(server.port, '::1')
  const warnings: Error[] = []
  process.on('warning', (warning) => warnings.push(warning))
  const registry = testRegistry(`[::1]:${proxy.port}`)
  t.after(() => registry.close().then(() => proxy.close()))
  const session = await registry.openSession(unexpected)
  assert.equal(proxy.accepted, 1)

  const counts = Array.from({ length: 30 }, () => deferred<string>())
  for (const { resolve } of counts) session.watch('/a', () => resolve(new Error().stack ?? ''))
  await session.commit([create('/a')])
  const stacks = await Promise.all(counts.map(({ promise }) => promise))
  assert.ok(stacks.every((stack) => !stack.includes('node-zookeeper-client')))
  assert.deepEqual(warnings, [])

  const root = freshRoot()
  const inside = testRegistry(server.hosts + root)
  const other = await inside.openSession(unexpected)
  await makeWithoutValue(`${root}/empty`)
  assert.deepEqual(await seen(other, '/empty'), ['', 1])
  await inside.close()
})

/** As other programs do; we always send a value, if an empty one. */
async function makeWithoutValue(path: string): Promise<void> {
  const client = library.createClient(server.hosts, { sessionTimeout: 2_000, retries: 0 })
  const stock = client as typeof client & { connect(): void }
  stock.connect()
  await new Promise<void>((resolve, reject) => {
    const transaction = client.transaction()
    const acls = library.ACL.OPEN_ACL_UNSAFE
    transaction.ops.push({ type: 1, path, acls, mode: 0 })
    transaction.commit((error) => {
      if (error === null || error === undefined) resolve()
      else reject(new Error(error.message))
    })
  })
  stock.close()
}

void test('more operations than may be on their way at once are carried out in order', async (t) => {
  const registry = testRegistry(server.hosts)
  t.after(() => registry.close())
  const session = await registry.openSession(unexpected)
  await session.commit([create('/n', '0')])
  const burst = Array.from({ length: 2_500 }, (_, index) => index + 1)
  const outcomes = await Promise.all(
    burst.map((version) => session.commit([set('/n', `${version}`, version)])),
  )
  assert.ok(outcomes.every(({ kind }) => kind === 'applied'))
  assert.deepEqual(await seen(session, '/n'), ['2500', 2_501])
})

void test('what a quota forbids is an error that names the op, and was not done', async (t) => {
  const root = freshRoot()
  const top = testRegistry(`${server.hosts}/`)
  const registry = testRegistry(server.hosts + root)
  t.after(() => Promise.all([registry.close(), top.close()]))
  const session = await registry.openSession(unexpected)
  const admin = await top.openSession(unexpected)
  // The root of all has a node of ZooKeeper's own, which is not shown.
  assert.ok(!(await admin.children('/'))?.includes('zookeeper'))
  const names = root.split('/').slice(1)
  const levels = names.map((_, index) => `/zookeeper/quota/${names.slice(0, index + 1).join('/')}`)
  const quota = 'count=-1,bytes=-1=;byteHardLimit=-1;countHardLimit=2'
  const limits = [
    ...levels.map((path) => create(path)),
    create(`/zookeeper/quota${root}/zookeeper_limits`, quota),
    create(`/zookeeper/quota${root}/zookeeper_stats`, 'count=1,bytes=0'),
  ]
  assert.deepEqual(await admin.commit(limits), applied)
  assert.deepEqual(await session.commit([create('/fits')]), applied)
  await assert.rejects(
    session.commit([set('/fits', 'x'), create('/too-many')]),
    (error: unknown) => unavailable(error) && /create \/too-many.*-125/.test(String(error)),
  )
  assert.deepEqual(await seen(session, '/fits'), ['', 1])
})

void test('without a server a session is refused with the hosts and the way out', async () => {
  const port = 1
  const registry = testRegistry(`127.0.0.1:${port}`, { operationMs: 300 })
  await assert.rejects(
    registry.openSession(unexpected),
    (error: unknown) =>
      unavailable(error) &&
      String(error).includes(`127.0.0.1:${port}`) &&
      /ECONNREFUSED.*look at the registry/.test(String(error)),
  )
  await registry.close()
})
