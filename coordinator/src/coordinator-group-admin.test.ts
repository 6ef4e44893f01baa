import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  epoch,
  groupDelete,
  groupDescribe,
  groupList,
  groupPause,
  groupRebalances,
  groupReset,
  groupSet,
  offset,
  partitionNumber,
  topicCreate,
  topicId,
} from '@popmq/protocol'
import { CoordinatorWorld, refused } from './testing/coordinator-world.ts'
import { type JoinFields, TestMember } from './testing/test-member.ts'

async function started(partitions = 4): Promise<CoordinatorWorld> {
  const world = new CoordinatorWorld()
  await world.start()
  ;(await world.openBroker(1)).keep()
  await world.ask(topicCreate, { name: 'orders', partitions })
  return world
}

const billing = { group: 'billing', topics: ['orders'] }

async function member(
  world: CoordinatorWorld,
  fields: Partial<JoinFields> = {},
): Promise<TestMember> {
  const joined = await TestMember.join(world, { ...billing, ...fields })
  await world.during(joined.startAll([]))
  return joined
}

const to = (...rows: readonly (readonly [number, number])[]) =>
  rows.map(([partition, at]) => ({ partition: partitionNumber(partition), offset: offset(at) }))

void test('a group that is not there is refused by everything that names it', async () => {
  const world = await started()
  const group = 'absent'
  const absent = refused('group_not_found', /popmq group list/)
  await assert.rejects(world.ask(groupDescribe, { group }), absent)
  await assert.rejects(world.ask(groupDelete, { group }), absent)
  await assert.rejects(world.ask(groupPause, { group, isPaused: true }), absent)
  await assert.rejects(world.ask(groupRebalances, { group, limit: 1 }), absent)
  await assert.rejects(world.ask(groupReset, { group, topicId: topicId(1), offsets: [] }), absent)
  assert.deepEqual(await world.ask(groupList, {}), { groups: [] })
})

void test('config makes a group, and refuses what it does not know', async () => {
  const world = await started()
  const set = (config: Record<string, string>) => world.ask(groupSet, { group: 'billing', config })
  const { policy } = await set({ sessionTimeout: '1s', assignor: 'range' })
  assert.deepEqual([policy.sessionMs, policy.assignor, policy.maxAttempts], [1_000, 'range', 16])
  assert.equal((await set({ maxAttempts: '3' })).policy.sessionMs, 1_000)
  await assert.rejects(
    set({ asignor: 'range' }),
    refused('invalid_config', /did you mean assignor\?/),
  )
  await assert.rejects(
    set({ assignor: 'stiky' }),
    refused('invalid_config', /did you mean sticky\?/),
  )
  const { groups } = await world.ask(groupList, {})
  assert.deepEqual(groups, [
    { name: 'billing', groupId: 1, state: 'empty', members: 0, topics: [] },
  ])
  assert.equal((await TestMember.join(world, billing)).joined.sessionMs, 1_000)
})

void test('a group is described: who holds what under which epoch, and how far it has come', async () => {
  const world = await started(2)
  const first = (await member(world, { member: 'one', client: 'host-1' })).keep()
  await world.scheduler.run(100)
  await world.during(first.commit(1, 8))
  const { group, members, progress, policy } = await world.ask(groupDescribe, { group: 'billing' })
  const topic = { name: 'orders', topicId: 1, mode: 'pull', isPaused: false }
  assert.deepEqual(group, {
    name: 'billing',
    groupId: 1,
    state: 'stable',
    members: 1,
    topics: [topic],
  })
  assert.equal(policy.assignor, 'sticky')
  assert.deepEqual(progress, [{ topicId: 1, offsets: [0, 8] }])
  const [one] = members
  assert.deepEqual(
    [one?.member, one?.client, one?.state, one?.topics, one?.revoking],
    ['one', 'host-1', 'live', ['orders'], []],
  )
  assert.deepEqual(one?.grants, [
    { topicId: 1, partition: 0, epoch: 1 },
    { topicId: 1, partition: 1, epoch: 1 },
  ])
})

void test('a reset moves progress back under a new epoch, so what was granted before is void', async () => {
  const world = await started(2)
  const first = await member(world)
  await world.during(first.turn())
  await world.during(first.commit(0, 50))
  const asked = { group: 'billing', topicId: topicId(1), offsets: to([0, 10]) }
  const moves = [{ partition: 0, from: 50, to: 10 }]
  assert.deepEqual(await world.ask(groupReset, { ...asked, dryRun: true }), { moves })
  assert.deepEqual(await world.during(first.commit(0, 51)), [])
  assert.deepEqual((await world.ask(groupReset, asked)).moves, [{ partition: 0, from: 51, to: 10 }])
  const [late] = await world.during(first.commit(0, 52))
  assert.deepEqual([late?.error, late?.offset], [5006, 10])
  await world.during(first.turn())
  assert.deepEqual(first.grants, [
    { topicId: 1, partition: 0, epoch: 2, offset: 10 },
    { topicId: 1, partition: 1, epoch: 1, offset: 0 },
  ])
  assert.deepEqual(await world.during(first.commit(0, 11)), [])
  await world.during(first.turn(0))
  await world.scheduler.run(200)
  const { rebalances } = await world.ask(groupRebalances, { group: 'billing', limit: 1 })
  const { memberId: id } = first
  const move = { topicId: 1, partition: 0, from: id, to: id, epoch: 2 }
  assert.match(rebalances[0]?.triggers.join() ?? '', /^reset of orders by anonymous@\S+: 0 to 10$/)
  assert.notEqual(rebalances[0]?.moves[0]?.darkMs, undefined)
  assert.deepEqual(
    { ...rebalances[0]?.moves[0], darkMs: undefined },
    { ...move, darkMs: undefined },
  )
})

void test('a reset is refused for what the group does not read', async () => {
  const world = await started(2)
  await member(world)
  const reset = (id: number, partition: number) =>
    world.ask(groupReset, { group: 'billing', topicId: topicId(id), offsets: to([partition, 0]) })
  await assert.rejects(reset(7, 0), refused('topic_not_found'))
  await assert.rejects(reset(1, 2), refused('partition_not_found'))
})

void test('a reset of what is being revoked takes it from its member at once', async () => {
  const world = await started(2)
  const first = await member(world)
  await world.during(first.turn())
  const second = await TestMember.join(world, billing)
  await world.during(first.turn())
  const [held] = first.revoking
  assert.ok(held)
  await world.ask(groupReset, {
    group: 'billing',
    topicId: topicId(1),
    offsets: to([held.partition, 3]),
  })
  await world.during(second.turn())
  assert.deepEqual(second.grants, [{ ...held, epoch: epoch(3), offset: 3 }])
  await world.during(first.turn())
  assert.deepEqual(first.revoking, [])
})

void test('a topic that is paused or resumed is told', async () => {
  const world = await started(1)
  const first = await member(world)
  await world.during(first.turn())
  const { topics } = await world.ask(groupPause, { group: 'billing', isPaused: true })
  assert.deepEqual(
    topics.map(({ name, isPaused }) => [name, isPaused]),
    [['orders', true]],
  )
  await world.during(first.turn())
  assert.deepEqual(first.paused, [1])
  await world.ask(groupPause, { group: 'billing', topic: 'orders', isPaused: false })
  await world.during(first.turn())
  assert.deepEqual(first.paused, [])
  await assert.rejects(
    world.ask(groupPause, { group: 'billing', topic: 'absent', isPaused: true }),
    refused('topic_not_found'),
  )
})

void test('a group with members is not deleted; without, its progress goes with it', async () => {
  const world = await started(1)
  const first = await member(world)
  await world.during(first.turn())
  await world.during(first.commit(0, 5))
  await assert.rejects(
    world.ask(groupDelete, { group: 'billing' }),
    refused('group_in_use', /has 1 members/),
  )
  await world.during(first.leave())
  assert.deepEqual(await world.ask(groupDelete, { group: 'billing' }), { groupId: 1 })
  const session = await world.registry.openSession(() => undefined)
  for (const folder of ['/groups', '/grants', '/progress', '/rebalances'])
    assert.deepEqual(await session.children(folder), [], folder)
  const again = await TestMember.join(world, billing)
  assert.deepEqual([again.joined.groupId, again.joined.unstarted.length], [2, 1])
})

void test('each rebalance is recorded with what led to it, what moved, and how long it was dark', async () => {
  const world = await started(2)
  const first = await member(world)
  await world.during(first.turn())
  await world.scheduler.run(1_000)
  const second = await TestMember.join(world, billing)
  await world.during(first.turn())
  const toldMs = world.scheduler.monotonic()
  await world.scheduler.run(300)
  await world.during(first.release())
  await world.during(second.turn())
  await world.during(second.turn(0))
  const darkMs = Math.round(world.scheduler.monotonic() - toldMs)
  const { rebalances } = await world.ask(groupRebalances, { group: 'billing', limit: 2 })
  const [latest, before] = rebalances
  assert.deepEqual(latest?.triggers, ['member_joined'])
  assert.deepEqual([latest?.assignor, latest?.members, latest?.partitions], ['sticky', 2, 2])
  assert.equal(latest?.moves.length, 1)
  const [move] = latest?.moves ?? []
  assert.deepEqual([move?.from, move?.to, move?.epoch], [first.memberId, second.memberId, 2])
  assert.ok(Math.abs((move?.darkMs ?? 0) - darkMs) <= 2 && darkMs >= 300, `${move?.darkMs}`)
  assert.deepEqual([before?.triggers, before?.moves.length], [['topic_started'], 2])
})

void test('what a member held that fell silent is dark since it was last heard', async () => {
  const world = await started(2)
  const silent = await member(world)
  await world.during(silent.turn())
  const heardMs = world.scheduler.monotonic()
  const other = (await TestMember.join(world, billing)).keep()
  await world.scheduler.run(10_000)
  other.freeze()
  const { rebalances } = await world.ask(groupRebalances, { group: 'billing', limit: 10 })
  const lost = rebalances.find(({ triggers }) => triggers.includes('session_over'))
  const given = lost?.moves.filter(({ from }) => from === silent.memberId) ?? []
  assert.ok(given.length > 0 && heardMs > 0, JSON.stringify(rebalances))
  for (const { darkMs } of given) assert.ok((darkMs ?? 0) >= 6_000, `${darkMs}`)
})

void test('in broadcast each member has every partition, and a static one its own progress', async () => {
  const world = await started(2)
  const one = await member(world, { mode: 'broadcast', member: 'one' })
  const two = await member(world, { mode: 'broadcast', member: 'two' })
  const nameless = await member(world, { mode: 'broadcast' })
  for (const each of [one, two, nameless]) {
    await world.during(each.turn())
    assert.deepEqual(
      each.grants.map(({ partition, epoch: of }) => [partition, of]),
      [
        [0, 1],
        [1, 1],
      ],
    )
  }
  assert.deepEqual(await world.during(one.commit(0, 4)), [])
  await assert.rejects(
    world.during(nameless.commit(0, 1)),
    refused('invalid_request', /without a static name/),
  )
  await world.during(one.leave())
  const again = await member(world, { mode: 'broadcast', member: 'one' })
  assert.deepEqual(again.joined.unstarted, [])
  await world.during(again.turn())
  assert.deepEqual(
    again.grants.map(({ epoch: of, offset: at }) => [of, at]),
    [
      [2, 4],
      [2, 0],
    ],
  )
  const { progress } = await world.ask(groupDescribe, { group: 'billing' })
  assert.deepEqual(
    progress.map(({ member: name, offsets }) => [name, offsets]),
    [
      ['one', [4, 0]],
      ['two', [0, 0]],
    ],
  )
})
