import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { between, deferred, present } from '@popmq/kit'
import { SeededRandom } from '@popmq/kit/testing'
import { isMqError } from '@popmq/protocol'
import type { Registry, RegistrySession } from '../../core/registry-port.ts'
import { FaultProxy, requestTypes } from '../testing/fault-proxy.ts'
import { applied, create, seen, set, toldUntil, unexpected } from '../testing/registry-case.ts'
import { expireSession, sessionId } from '../testing/zookeeper-expiry.ts'
import { TestZookeeperServer } from '../testing/zookeeper-server.ts'
import { RecordedLog, testRegistry } from '../testing/zookeeper-world.ts'

const server = await TestZookeeperServer.start()
await server.ready()
after(() => server.stop())

interface Case {
  readonly proxy: FaultProxy
  readonly log: RecordedLog
  readonly registry: Registry
  readonly session: RegistrySession
  /** Why the session was lost. */
  readonly lost: Promise<Error>
  /** On the same root, straight to the server. */
  readonly onlooker: RegistrySession
}

const unavailable = (error: unknown): boolean => isMqError(error, 'registry_unavailable')

function faultTest(sentence: string, check: (one: Case) => Promise<void>): void {
  void test(sentence, async () => {
    const proxy = await FaultProxy.start(server.port)
    const log = new RecordedLog()
    const root = `/faults/${proxy.port}`
    const direct = testRegistry(server.hosts + root)
    const registry = testRegistry(proxy.hosts + root, { log, sessionMs: 1_500 })
    try {
      const lost = deferred<Error>()
      const session = await registry.openSession(lost.resolve)
      const onlooker = await direct.openSession(unexpected)
      await check({ proxy, log, registry, session, lost: lost.promise, onlooker })
    } finally {
      await registry.close()
      await direct.close()
      await proxy.close()
    }
  })
}

faultTest('D1: a commit compares version 0 of ZooKeeper too', async ({ session }) => {
  await session.commit([create('/a')])
  assert.deepEqual(await session.commit([set('/a', 'one', 1)]), applied)
  const again = await session.commit([set('/a', 'two', 1)])
  assert.deepEqual(again, { kind: 'rejected', index: 0, reason: 'version' })
})

faultTest('D2: a link that carries nothing any more is left for another', async (one) => {
  const { session, proxy, log, onlooker } = one
  await session.commit([create('/mine', '', true)])
  proxy.freeze()
  const asked = session.read('/mine')
  await assert.rejects(asked, unavailable)
  assert.equal(await log.until('registry_disconnected'), undefined)
  assert.deepEqual(await seen(session, '/mine'), ['', 1])
  assert.equal((await onlooker.read('/mine'))?.ephemeral, true)
})

faultTest('D3: a reply cut in the middle costs its connection and no more', async (one) => {
  const { session, proxy } = one
  await session.commit([create('/a', 'x'.repeat(1_000))])
  proxy.nextReply(requestTypes.read, 'cut in half')
  await assert.rejects(session.read('/a'), unavailable)
  assert.deepEqual(await seen(session, '/a'), ['x'.repeat(1_000), 1])
  assert.equal(proxy.accepted, 2)
  const [first, second] = proxy.handshakes.map(sessionId)
  assert.deepEqual(second, first)
})

faultTest('D4: on expiry everything asked is answered, sent or still waiting', async (one) => {
  const { session, proxy, log, lost } = one
  proxy.freeze()
  const ask = (): Promise<unknown[]> =>
    Promise.all([assert.rejects(session.read('/'), unavailable), session.commit([create('/a')])])
  const sent = ask()
  proxy.mode = 'refuse'
  proxy.cut()
  await log.until('registry_disconnected')
  const waiting = ask()
  await expireSession(server.port, present(proxy.handshakes[0], 'the session was opened here'))
  proxy.mode = 'pass'
  assert.match((await lost).message, /expired/)
  const unknown = [undefined, { kind: 'unknown' }]
  assert.deepEqual(await Promise.all([sent, waiting]), [unknown, unknown])
})

faultTest('D5: a code that the library does not know is an answer like another', async (one) => {
  const { session, proxy } = one
  proxy.nextReply(requestTypes.read, { code: -127 })
  await assert.rejects(session.read('/'), /THROTTLED_OP\[-127\]/)
  proxy.nextReply(requestTypes.commit, { code: -118 })
  assert.deepEqual(await session.commit([create('/a')]), { kind: 'unknown' })
  assert.deepEqual(await session.commit([create('/b')]), applied)
  assert.equal(proxy.accepted, 1)
})

faultTest('a commit whose reply is lost is unknown, and committing it again tells', async (one) => {
  const { session, proxy, onlooker } = one
  await session.commit([create('/a')])
  proxy.nextReply(requestTypes.commit, 'cut before')
  assert.deepEqual(await session.commit([set('/a', 'new', 1)]), { kind: 'unknown' })
  const again = await session.commit([set('/a', 'new', 1)])
  assert.deepEqual(again, { kind: 'rejected', index: 0, reason: 'version' })
  assert.deepEqual(await seen(onlooker, '/a'), ['new', 2])
})

faultTest('a server that is heard no more loses the session by our own clock', async (one) => {
  const { session, proxy, lost } = one
  proxy.mode = 'mute'
  proxy.freeze()
  assert.match((await lost).message, /no server answered for 1500 ms/)
  await assert.rejects(session.read('/'), /no server answered/)
  assert.deepEqual(await session.commit([create('/late')]), { kind: 'unknown' })
})

faultTest('an operation that no connection carries ends at its deadline', async (one) => {
  const { proxy, log } = one
  const hasty = testRegistry(proxy.hosts, { log, operationMs: 100 })
  const session = await hasty.openSession(unexpected)
  proxy.freeze()
  await assert.rejects(session.read('/'), /no answer within 100 ms/)
  assert.deepEqual(await session.commit([create('/a')]), { kind: 'unknown' })
  await hasty.close()
})

faultTest('over any cuts commits and reads tell one story, in one session', async (one) => {
  const { session, proxy, onlooker } = one
  const random = new SeededRandom(7)
  await session.commit([create('/n', '0')])
  const rounds = 16
  const told = [session, onlooker].map((watcher) =>
    toldUntil(watcher, '/n', async () => (await readAnyway(watcher))?.[0] === `${rounds}`),
  )
  for (let round = 1; round <= rounds; round += 1) {
    const faults = [
      () => proxy.nextReply(requestTypes.commit, 'cut before'),
      () => proxy.nextReply(requestTypes.commit, 'cut in half'),
      () => proxy.nextReply(requestTypes.read, 'cut before'),
      () => proxy.cut(),
    ]
    faults[between(random, 0, faults.length * 2)]?.()
    const op = set('/n', `${round}`, round)
    let outcome = await session.commit([op])
    const isFirst = outcome.kind !== 'unknown'
    while (outcome.kind === 'unknown') outcome = await session.commit([op])
    // Nobody else writes: what is rejected on repetition was done before.
    assert.ok(outcome.kind === 'applied' || (!isFirst && outcome.reason === 'version'))
    assert.deepEqual(await readAnyway(session), [`${round}`, round + 1])
  }
  await Promise.all(told)
  assert.ok(proxy.accepted > 3)
  assert.equal(new Set(proxy.handshakes.map((answer) => sessionId(answer).toString('hex'))).size, 1)
})

async function readAnyway(session: RegistrySession): Promise<[string, number] | undefined> {
  for (;;) {
    try {
      return await seen(session, '/n')
    } catch (error) {
      if (!unavailable(error)) throw error
    }
  }
}
