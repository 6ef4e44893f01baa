import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeGrants } from './core/groups/group-values.ts'
import { type CommitFault, MemoryRegistry } from './registry/memory-registry.ts'
import { CoreMember } from './testing/core-member.ts'
import { GroupsWorld } from './testing/groups-world.ts'
import { SlowRegistry } from './testing/slow-registry.ts'

/** By partition, the epoch that the registry has and the index of the member. */
async function stored({ registry }: GroupsWorld): Promise<[number, number][]> {
  const session = await registry.openSession(() => undefined)
  const node = await session.read('/grants/1/1')
  return node === undefined
    ? []
    : decodeGrants('/grants/1/1', node).map(({ epoch, member }) => [epoch, member])
}

void test('a grant is told once it is in the registry, not before', async () => {
  const registry = new SlowRegistry(new MemoryRegistry())
  const world = await GroupsWorld.start({ registry })
  await world.createTopic('t', 2)
  const first = new CoreMember(world)
  await world.during(first.join())
  await world.during(first.turn())
  registry.clock = world.scheduler
  registry.commitMs = 100
  const second = new CoreMember(world)
  await world.during(second.join())
  const told = second.turn(5_000)
  await world.during(first.turn())
  assert.deepEqual(await stored(world), [
    [1, 1],
    [1, 1],
  ])
  await world.during(told)
  assert.deepEqual(
    second.grants.map(({ partition, epoch }) => [partition, epoch]),
    [[1, 2]],
  )
  assert.deepEqual(await stored(world), [
    [1, 1],
    [2, 2],
  ])
})

void test('a grant whose write had no answer is given once', async () => {
  const faults: CommitFault[] = []
  const registry = new MemoryRegistry({ fault: () => faults.shift() ?? 'none' })
  const world = await GroupsWorld.start({ registry })
  await world.createTopic('t', 2)
  const first = new CoreMember(world).keep()
  await world.run(2_000)
  faults.push('unanswered', 'dropped', 'unanswered')
  first.leave()
  const second = new CoreMember(world).keep()
  await world.run(2_000)
  assert.deepEqual(
    second.grants.map(({ epoch }) => epoch),
    [2, 2],
  )
  assert.deepEqual(await stored(world), [
    [2, 2],
    [2, 2],
  ])
})

void test('a member that leaves while its grants are written holds nothing, and their epochs are used up', async () => {
  const registry = new SlowRegistry(new MemoryRegistry())
  const world = await GroupsWorld.start({ registry })
  await world.createTopic('t', 1)
  const first = new CoreMember(world)
  await world.during(first.join())
  await world.during(first.turn())
  registry.clock = world.scheduler
  registry.commitMs = 100
  const second = new CoreMember(world)
  await world.during(second.join())
  await world.run(1_500)
  first.leave()
  await world.run(50)
  second.leave()
  const third = new CoreMember(world).keep()
  await world.run(3_000)
  assert.deepEqual(
    third.grants.map(({ epoch }) => epoch),
    [3],
  )
  const [latest] = world.cluster.groups.named('g').rebalances.latest(1)
  assert.equal(latest?.moves.at(-1)?.to, third.memberId)
  assert.equal(world.cluster.groups.named('g').isRebalancing, false)
})

void test('a change of one member wakes no other', async () => {
  const world = await GroupsWorld.start()
  await world.createTopic('t', 4)
  const members = [1, 2, 3, 4].map(() => new CoreMember(world).keep())
  await world.run(5_000)
  const versions = (): number[] => members.map(({ version }) => version)
  const before = versions()
  members[0]?.leave()
  await world.run(1_000)
  const changed = versions().filter((version, at) => version !== before[at])
  assert.equal(changed.length, 1, 'only the one that is granted the partition')
})

void test('groups that grant at the same time share registry commits', async (t) => {
  const registry = new SlowRegistry(new MemoryRegistry())
  const world = await GroupsWorld.start({ registry })
  await world.createTopic('t', 64)
  const old: CoreMember[] = []
  for (let group = 0; group < 100; group += 1) {
    old.push(new CoreMember(world, { group: `g${group}` }).keep())
  }
  await world.run(2_000)
  const next = old.map((_, group) => new CoreMember(world, { group: `g${group}` }).keep())
  await world.run(1_500)
  assert.ok(next.every(({ grants }) => grants.length === 32))
  registry.clock = world.scheduler
  registry.commitMs = 5
  const before = registry.commits
  const startedMs = world.scheduler.monotonic()
  for (const member of old) member.leave()
  const isWhole = (): boolean => next.every(({ grants }) => grants.length === 64)
  assert.ok(await world.scheduler.runUntil(isWhole, startedMs + 2_000))
  const tookMs = world.scheduler.monotonic() - startedMs
  t.diagnostic(`100 groups in ${registry.commits - before} registry commits, ${tookMs} ms`)
  assert.ok(registry.commits - before <= 10, `${registry.commits - before} commits`)
})
