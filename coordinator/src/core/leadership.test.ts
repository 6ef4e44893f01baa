import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Scheduler, SeededRandom } from '@popmq/kit/testing'
import { isMqError, type MqError } from '@popmq/protocol'
import { Leadership } from './leadership.ts'
import type { RegistrySession } from './registry-port.ts'
import { RegistryTree } from './registry-tree.ts'
import { encodeValue } from './registry-values.ts'

type CommitFault = 'none' | 'unanswered' | 'dropped'

/** A registry of one tree, all of whose sessions are the same one, with answers that get lost. */
function treeSession(fault: () => CommitFault = () => 'none'): RegistrySession {
  const tree = new RegistryTree()
  return {
    read: async (path) => tree.read(path),
    children: async (path) => tree.children(path),
    commit: async (ops) => {
      const drawn = fault()
      const outcome = drawn === 'dropped' ? undefined : tree.commit(ops, 1)
      return drawn === 'none' && outcome !== undefined ? outcome : { kind: 'unknown' }
    },
    watch: () => () => undefined,
    close: () => Promise.resolve(),
  }
}

interface Led {
  readonly leader: Leadership
  readonly deposed: MqError[]
}

async function take(
  session: RegistrySession,
  { scheduler, seed }: { scheduler: Scheduler; seed: number },
): Promise<Led> {
  const deposed: MqError[] = []
  const taken = Leadership.take({
    session,
    clock: scheduler,
    random: new SeededRandom(seed),
    coordinator: `test-${seed}`,
    deposed: (reason) => deposed.push(reason),
  })
  return { leader: await during(scheduler, taken), deposed }
}

/** Lets virtual time pass until `promise` settles. */
async function during<T>(scheduler: Scheduler, promise: Promise<T>): Promise<T> {
  let settled = false
  const settle = (): void => void (settled = true)
  promise.then(settle, settle)
  assert.ok(
    await scheduler.runUntil(() => settled, scheduler.monotonic() + 600_000),
    'it settles in ten minutes',
  )
  return promise
}

const make = (leader: Leadership, number: number): Promise<unknown> =>
  leader.write(
    () => ({
      ops: [
        {
          kind: 'create',
          path: `/topics/t${number}`,
          value: encodeValue({ id: leader.counters.topicId + 1 }),
        },
      ],
      counters: { topicId: leader.counters.topicId + 1 },
    }),
    () => undefined,
  )

void test('the first leader makes the cluster, the next one finds it and leads under a higher epoch', async () => {
  const session = treeSession()
  const scheduler = new Scheduler()
  const first = await take(session, { scheduler, seed: 1 })
  await make(first.leader, 1)
  const second = await take(session, { scheduler, seed: 2 })
  assert.match(first.leader.clusterId, /^[0-9a-f]{32}$/)
  assert.equal(second.leader.clusterId, first.leader.clusterId)
  assert.ok(second.leader.epoch > first.leader.epoch)
  assert.equal(second.leader.counters.topicId, 1)
})

void test('a deposed leader changes nothing and says so from then on', async () => {
  const session = treeSession()
  const scheduler = new Scheduler()
  const first = await take(session, { scheduler, seed: 1 })
  const second = await take(session, { scheduler, seed: 2 })
  await assert.rejects(make(first.leader, 1), (error: unknown) =>
    isMqError(error, 'not_coordinator'),
  )
  await assert.rejects(make(first.leader, 1), (error: unknown) =>
    isMqError(error, 'not_coordinator'),
  )
  assert.equal(first.deposed.length, 1)
  await make(second.leader, 2)
  assert.deepEqual(await session.children('/topics'), ['t2'])
})

void test('what prepare throws is thrown, and the next write goes on', async () => {
  const { leader } = await take(treeSession(), { scheduler: new Scheduler(), seed: 1 })
  const refuse = (): never => {
    throw new Error('refused')
  }
  await assert.rejects(
    leader.write(refuse, () => undefined),
    /refused/,
  )
  await make(leader, 1)
  assert.equal(leader.counters.topicId, 1)
})

void test('writes whose answers get lost are done exactly once, and numbers are never given twice', async () => {
  for (let seed = 1; seed <= 60; seed += 1) {
    const random = new SeededRandom(seed)
    const fault = (): CommitFault => {
      const drawn = random.next()
      return drawn < 0.15 ? 'unanswered' : drawn < 0.3 ? 'dropped' : 'none'
    }
    const session = treeSession(fault)
    const scheduler = new Scheduler()
    const { leader, deposed } = await take(session, { scheduler, seed })
    const writes = Array.from({ length: 20 }, (_, number) => make(leader, number))
    await during(scheduler, Promise.all(writes))
    const ids: unknown[] = []
    for (let number = 0; number < 20; number += 1) {
      const node = await session.read(`/topics/t${number}`)
      ids.push(JSON.parse(new TextDecoder().decode(node?.value)).id)
    }
    assert.deepEqual(
      ids,
      Array.from({ length: 20 }, (_, number) => number + 1),
    )
    assert.equal(leader.counters.topicId, 20)
    assert.deepEqual(deposed, [])
  }
})

void test('a leader whose write may or may not be done steps down rather than guess', async () => {
  let fault: CommitFault = 'none'
  const session = treeSession(() => fault)
  const scheduler = new Scheduler()
  const { leader, deposed } = await take(session, { scheduler, seed: 1 })
  fault = 'dropped'
  await assert.rejects(during(scheduler, make(leader, 1)), (error: unknown) =>
    isMqError(error, 'registry_unavailable'),
  )
  fault = 'none'
  await assert.rejects(
    make(leader, 2),
    (error: unknown) => isMqError(error, 'not_coordinator'),
    'nothing of the next one was done',
  )
  assert.deepEqual(
    deposed.map(({ name }) => name),
    ['registry_unavailable'],
  )
})

void test('whoever leads is confirmed by the registry, and a deposed one is found out by it', async () => {
  const session = treeSession()
  const scheduler = new Scheduler()
  const first = await take(session, { scheduler, seed: 1 })
  await first.leader.confirm()
  const second = await take(session, { scheduler, seed: 2 })
  await assert.rejects(first.leader.confirm(), (error: unknown) =>
    isMqError(error, 'not_coordinator'),
  )
  await second.leader.confirm()
  assert.deepEqual([first.deposed.length, second.deposed.length], [1, 0])
})

void test('a write without an answer, after which another leads, is not said to be undone', async () => {
  let fault: CommitFault = 'none'
  const session = treeSession(() => fault)
  const scheduler = new Scheduler()
  const { leader } = await take(session, { scheduler, seed: 1 })
  fault = 'unanswered'
  const written = make(leader, 1)
  // Let it be tried once, then let another take the lead before it is tried again.
  await scheduler.run(0)
  fault = 'none'
  const successor = take(session, { scheduler: new Scheduler(), seed: 2 })
  await successor
  await assert.rejects(during(scheduler, written), (error: unknown) =>
    isMqError(error, 'registry_unavailable'),
  )
})

void test('a registry of a later layout is refused', async () => {
  const session = treeSession()
  await session.commit([
    { kind: 'create', path: '/cluster', value: encodeValue({ format: 2, clusterId: 'x' }) },
  ])
  await assert.rejects(take(session, { scheduler: new Scheduler(), seed: 1 }), (error: unknown) =>
    isMqError(error, 'newer_format'),
  )
})

void test('a registry that somebody else writes to is noticed before anything is built on it', async () => {
  const session = treeSession()
  const { leader, deposed } = await take(session, { scheduler: new Scheduler(), seed: 1 })
  await make(leader, 1)
  const node = await session.read('/counters')
  assert.ok(node)
  await session.commit([{ kind: 'set', path: '/counters', value: node.value }])
  await assert.rejects(make(leader, 2), (error: unknown) => isMqError(error, 'internal'))
  assert.equal(deposed.length, 1)
  assert.deepEqual(await session.children('/topics'), ['t1'])
})

void test('counters and what a write made show at the same moment, and an empty write makes no commit', async () => {
  const scheduler = new Scheduler()
  const inner = treeSession()
  let commits = 0
  const commit: RegistrySession['commit'] = (ops) => {
    commits += 1
    return inner.commit(ops)
  }
  const { leader } = await take({ ...inner, commit }, { scheduler, seed: 1 })
  const counters = { version: leader.counters.version + 1 }
  let shown = leader.counters.version
  const written = leader.write(
    () => ({ ops: [], counters }),
    () => (shown = counters.version),
  )
  for (let turn = 0; turn < 50; turn += 1) {
    await Promise.resolve()
    assert.equal(leader.counters.version, shown)
  }
  await during(scheduler, written)
  assert.equal(shown, counters.version)
  const before = commits
  let isApplied = false
  const empty = leader.write(
    () => ({ ops: [] }),
    () => (isApplied = true),
  )
  await during(scheduler, empty)
  assert.deepEqual([isApplied, commits], [true, before])
})
