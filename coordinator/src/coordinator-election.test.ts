import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  brokerOpen,
  brokerSession,
  clusterStatus,
  epoch,
  metadata,
  type MqError,
  producerOpen,
  topicCreate,
} from '@popmq/protocol'
import type { Coordinator } from './coordinator.ts'
import type { Registry, RegistrySession } from './core/registry-port.ts'
import { MemoryRegistry } from './registry/memory-registry.ts'
import { CoordinatorWorld, refused } from './testing/coordinator-world.ts'

/** One coordinator's way to the registry that all share. */
class Path implements Registry {
  readonly #registry: MemoryRegistry
  session: RegistrySession | undefined
  /** While it is paused nothing comes to it: no watch, no loss of its session. What it sends arrives. */
  isPaused = false

  constructor(registry: MemoryRegistry) {
    this.#registry = registry
  }

  async openSession(lost: (reason: Error) => void): Promise<RegistrySession> {
    const session = await this.#registry.openSession((reason) => {
      if (!this.isPaused) lost(reason)
    })
    this.session = session
    const watch: RegistrySession['watch'] = (path, onChange) =>
      session.watch(path, () => {
        if (!this.isPaused) onChange()
      })
    return { ...session, watch }
  }

  expire(): Promise<void> {
    return this.session === undefined ? Promise.resolve() : this.#registry.expire(this.session)
  }

  close(): Promise<void> {
    return Promise.resolve()
  }
}

const addressOf = (id: number): string => `coordinator:${7_699 + id}`

async function startAll(count: number) {
  const registry = new MemoryRegistry()
  const world = new CoordinatorWorld(registry)
  const coordinators: Coordinator[] = []
  const ways: Path[] = []
  for (let id = 1; id <= count; id += 1) {
    const way = new Path(registry)
    ways.push(way)
    coordinators.push(await world.start({ id, listen: addressOf(id), registry: way }))
  }
  const leading = (): number[] =>
    coordinators.flatMap((each, index) => (each.health().isLeading ? [index + 1] : []))
  return { world, registry, coordinators, ways, leading }
}

void test('of three coordinators the first leads and the others name it', async () => {
  const { world, coordinators, leading } = await startAll(3)
  assert.deepEqual(leading(), [1])
  for (const id of [2, 3]) {
    await assert.rejects(world.ask(metadata, {}, addressOf(id)), (error: unknown) => {
      assert.ok(refused('not_coordinator')(error))
      assert.equal((error as MqError).facts['leader'], addressOf(1))
      return true
    })
  }
  assert.deepEqual(
    coordinators.map((each) => [each.health().role, each.clusterId, each.health().redirects]),
    [
      ['leading', coordinators[0]?.clusterId, 0],
      ['standby', coordinators[0]?.clusterId, 1],
      ['standby', coordinators[0]?.clusterId, 1],
    ],
  )
})

void test('when the leader closes, another leads within a second, and what was made is there', async () => {
  const { world, coordinators, leading } = await startAll(3)
  await world.openBroker(1)
  const { producerId } = await world.ask(producerOpen, {}, addressOf(1))
  await world.during(coordinators[0]?.close() ?? Promise.resolve())
  await world.scheduler.run(1_000)
  const [leader = 0] = leading()
  assert.ok(leader > 1 && leading().length === 1)
  const next = await world.ask(producerOpen, {}, addressOf(leader))
  assert.ok(next.producerId > producerId)
  const { brokers } = await world.ask(metadata, {}, addressOf(leader))
  assert.deepEqual(
    brokers.map(({ id }) => id),
    [1],
  )
})

void test('a leader whose session is lost is a standby of the next one, and may lead again', async () => {
  const { world, coordinators, ways, leading } = await startAll(2)
  const caller = await world.connect()
  const broker = await world.openBroker(1)
  await world.during(broker.renew())
  const held = broker.renew({ waitMs: 20_000 })
  const ended = assert.rejects(held, refused('not_coordinator', /the session with the registry/))
  await world.scheduler.run(10)
  await ways[0]?.expire()
  await world.during(ended)
  await assert.rejects(
    world.during(caller.call(metadata, {}, { timeoutMs: 1_000 })),
    refused('not_coordinator'),
  )
  await world.scheduler.run(1_000)
  assert.deepEqual(leading(), [2])
  assert.deepEqual(
    [coordinators[0]?.health().role, coordinators[0]?.health().leader],
    ['standby', addressOf(2)],
  )
  await ways[1]?.expire()
  await world.scheduler.run(1_000)
  assert.deepEqual(leading().length, 1)
  assert.deepEqual(world.fatal, [])
})

void test('a leader that was paused and replaced changes nothing, and stops nobody', async () => {
  const { world, registry, coordinators, ways, leading } = await startAll(2)
  const [way] = ways
  assert.ok(way)
  way.isPaused = true
  const outside = await registry.openSession(assert.fail)
  await outside.commit([{ kind: 'remove', path: '/election' }])
  await world.scheduler.run(1_000)
  assert.deepEqual(leading(), [1, 2], 'the first one does not know yet')
  const facts = { incarnation: 'x', address: 'b:1', highestTopicId: 0, highestEpoch: 0 }
  const opened = await world.ask(brokerOpen, { brokerId: 1, ...facts }, addressOf(2))
  // What the woken one knows is old: by it this broker is unknown, or from the future.
  const session = { brokerId: 1, epoch: epoch(opened.epoch), appliedVersion: 0, waitMs: 0 }
  await assert.rejects(world.ask(brokerSession, session, addressOf(1)), refused('not_coordinator'))
  way.isPaused = false
  await world.scheduler.run(1_000)
  assert.deepEqual(leading(), [2])
  assert.equal(coordinators[0]?.health().role, 'standby')
})

void test('a write of a leader that was paused and replaced is refused, and not made', async () => {
  const { world, registry, ways, leading } = await startAll(2)
  await world.openBroker(1)
  const [way] = ways
  assert.ok(way)
  way.isPaused = true
  const outside = await registry.openSession(assert.fail)
  await outside.commit([{ kind: 'remove', path: '/election' }])
  await world.scheduler.run(1_000)
  await assert.rejects(
    world.ask(topicCreate, { name: 'a', partitions: 1 }, addressOf(1)),
    refused('not_coordinator'),
  )
  way.isPaused = false
  assert.deepEqual(await outside.children('/topics'), [])
  await world.scheduler.run(1_000)
  assert.deepEqual(leading(), [2])
})

void test('a leader that is replaced although its session stands finds out without a write', async () => {
  const { world, registry, coordinators, leading } = await startAll(2)
  const outside = await registry.openSession(assert.fail)
  await outside.commit([{ kind: 'remove', path: '/election' }])
  await world.scheduler.run(1_000)
  assert.deepEqual(leading(), [2])
  assert.equal(coordinators[0]?.health().role, 'standby')
})

void test('an election whose outcomes get lost still has one leader', async () => {
  for (let seed = 1; seed <= 30; seed += 1) {
    let left = 12
    let drawn = seed
    const fault = () => {
      left -= 1
      drawn = (drawn * 48_271) % 2_147_483_647
      if (left < 0) return 'none'
      return drawn % 3 === 0 ? 'dropped' : drawn % 3 === 1 ? 'unanswered' : 'none'
    }
    const world = new CoordinatorWorld(new MemoryRegistry({ fault }))
    const first = await world.start()
    const second = await world.start({ id: 2, listen: addressOf(2) })
    await world.scheduler.run(10_000)
    const roles = [first.health().role, second.health().role].sort()
    assert.deepEqual(roles, ['leading', 'standby'], `seed ${seed}`)
  }
})

void test('the status of the cluster names the coordinators and the states of brokers', async () => {
  const { world, coordinators } = await startAll(3)
  const broker = await world.openBroker(1)
  await world.openBroker(2)
  await broker.kill()
  await world.scheduler.run(100)
  const { clusterId, leaderEpoch, ...status } = await world.ask(clusterStatus, {})
  assert.deepEqual(
    [clusterId, leaderEpoch],
    [coordinators[0]?.clusterId, coordinators[0]?.health().leaderEpoch],
  )
  assert.deepEqual(status, {
    leader: addressOf(1),
    coordinators: [1, 2, 3].map((id) => ({ id, address: addressOf(id) })),
    brokers: [
      { id: 1, epoch: 1, address: 'broker:7711', setId: 1, state: 'detached' },
      { id: 2, epoch: 2, address: 'broker:7712', setId: 2, state: 'live' },
    ],
    topics: 0,
    partitions: 0,
    groups: 0,
  })
  await world.during(coordinators[2]?.close() ?? Promise.resolve())
  await world.scheduler.run(100)
  assert.equal((await world.ask(clusterStatus, {})).coordinators.length, 2)
})

void test('a registry that was put back under a cluster ends the coordinator that led it', async () => {
  const { world, registry, ways } = await startAll(1)
  await world.openBroker(1)
  const outside = await registry.openSession(assert.fail)
  const before = await outside.read('/counters')
  assert.ok(before !== undefined)
  const node = { path: '/counters', value: before.value }
  await outside.commit([
    { kind: 'remove', path: node.path },
    { kind: 'create', ...node },
  ])
  await ways[0]?.expire()
  await world.scheduler.run(1_000)
  assert.deepEqual(
    world.fatal.map(({ name }) => name),
    ['registry_behind'],
  )
})

void test('a registry that was emptied under a cluster ends the coordinator', async () => {
  const { world, registry, ways } = await startAll(1)
  const outside = await registry.openSession(assert.fail)
  const all = ['brokers', 'topics', 'cluster', 'leader', 'counters']
  await outside.commit(all.map((name) => ({ kind: 'remove', path: `/${name}` })))
  await ways[0]?.expire()
  await world.scheduler.run(1_000)
  assert.deepEqual(
    world.fatal.map(({ name }) => name),
    ['registry_behind'],
  )
  assert.equal(await outside.read('/cluster'), undefined, 'it makes no new one')
  await assert.rejects(world.ask(metadata, {}), refused('not_coordinator'))
})
