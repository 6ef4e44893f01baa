import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  epoch,
  groupId,
  groupLeave,
  groupRelease,
  groupSession,
  groupStart,
  offset,
  topicCreate,
  topicDelete,
  topicId,
  topicSet,
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

/** A member that has joined, started what is new, and has its grants. */
async function member(
  world: CoordinatorWorld,
  fields: Partial<JoinFields> = {},
): Promise<TestMember> {
  const joined = await TestMember.join(world, { ...billing, ...fields })
  await world.during(joined.startAll([]))
  await world.during(joined.turn())
  return joined
}

const partitions = ({ grants }: TestMember): number[] => grants.map(({ partition }) => partition)

void test('a member joins, starts a topic, is granted its partitions, commits and leaves', async () => {
  const world = await started()
  const first = await TestMember.join(world, billing)
  assert.deepEqual(first.joined.unstarted, [{ name: 'orders', topicId: 1 }])
  await world.during(first.startAll([10, 20, 30, 40]))
  await world.during(first.turn())
  assert.deepEqual(
    first.grants.map(({ partition, epoch: of, offset: at }) => [partition, of, at]),
    [
      [0, 1, 10],
      [1, 1, 20],
      [2, 1, 30],
      [3, 1, 40],
    ],
  )
  assert.deepEqual(await world.during(first.commit(0, 15)), [])
  await world.during(first.leave())
  const second = await TestMember.join(world, billing)
  assert.deepEqual(second.joined.unstarted, [])
  await world.during(second.turn())
  assert.deepEqual(
    second.grants.map(({ partition, epoch: of, offset: at }) => [partition, of, at]),
    [
      [0, 2, 15],
      [1, 2, 20],
      [2, 2, 30],
      [3, 2, 40],
    ],
  )
})

void test('only what moves is revoked, and it is granted once it is released', async () => {
  const world = await started()
  const first = await member(world)
  const second = await TestMember.join(world, billing)
  await world.during(first.turn())
  assert.deepEqual([partitions(first), first.revoking.length], [[0, 1], 2])
  const waiting = second.turn()
  await world.scheduler.run(900)
  assert.deepEqual(second.grants, [])
  assert.deepEqual(await world.during(first.commit(3, 7)), [], 'what is revoked may be committed')
  await world.during(first.release())
  await world.during(waiting)
  assert.deepEqual(
    second.grants.map(({ partition, epoch: of, offset: at }) => [partition, of, at]),
    [
      [2, 2, 0],
      [3, 2, 7],
    ],
  )
  const [refusal] = await world.during(first.commit(3, 9, { topicId: topicId(1), epoch: epoch(1) }))
  assert.deepEqual([refusal?.error, refusal?.offset], [5006, 7])
})

void test('what is not released in time is taken, and found in neither list', async () => {
  const world = await started()
  const first = await member(world, { drainMs: 400 })
  const second = await TestMember.join(world, billing)
  await world.during(first.turn())
  assert.equal(first.revoking.length, 2)
  const startedMs = world.scheduler.monotonic()
  // By what it asks now it is known to know.
  await world.during(first.turn(0))
  await world.during(second.turn(2_000))
  assert.equal(second.grants.length, 2)
  assert.ok(world.scheduler.monotonic() - startedMs <= 450)
  await world.during(first.turn())
  assert.deepEqual([first.grants.length, first.revoking.length], [2, 0])
})

void test('what its owner may not know to be revoked stays its own while its session may last', async () => {
  const world = await started()
  const first = await member(world, { drainMs: 400 })
  const second = (await TestMember.join(world, billing)).keep()
  await world.during(first.turn())
  await world.scheduler.run(5_000)
  assert.equal(second.grants.length, 0)
  await world.scheduler.run(1_500)
  assert.equal(second.grants.length, 4)
})

void test('a session that is not renewed ends, and its member is not known from then on', async () => {
  const world = await started()
  const first = await member(world)
  const second = (await TestMember.join(world, billing)).keep()
  first.freeze()
  await world.scheduler.run(6_500)
  assert.equal(second.grants.length, 4)
  await assert.rejects(
    world.during(first.turn()),
    refused('member_unknown', /join the group again/),
  )
  await assert.rejects(world.during(first.commit(0, 1)), refused('member_unknown'))
  await assert.rejects(world.during(first.release([])), refused('member_unknown'))
  await assert.rejects(world.during(first.startAll([])), refused('member_unknown'))
  await world.during(first.leave())
})

void test('a held request is answered after a third of the session, and renews it', async () => {
  const world = await started()
  const first = await member(world)
  const startedMs = world.scheduler.monotonic()
  await world.during(first.turn(60_000))
  assert.equal(Math.round((world.scheduler.monotonic() - startedMs) / 100), 20)
})

void test('a member that falls silent with its connection closed keeps its partitions until its session ends', async () => {
  const world = await started()
  const first = await member(world)
  const second = (await TestMember.join(world, billing)).keep()
  await world.during(first.kill())
  await world.scheduler.run(4_000)
  assert.deepEqual(second.grants, [])
  await world.scheduler.run(2_500)
  assert.equal(second.grants.length, 4)
})

void test('a static name is in use while its member lives, and is taken over with its partitions after that', async () => {
  const world = await started()
  const first = await member(world, { member: 'one' })
  const other = (await TestMember.join(world, { ...billing, member: 'two' })).keep()
  first.keep()
  await world.scheduler.run(2_000)
  const held = new Map(first.grants.map(({ partition, epoch: of }) => [partition, of]))
  const others = other.grants
  await assert.rejects(
    TestMember.join(world, { ...billing, member: 'one' }),
    (error: unknown) =>
      refused('member_in_use', /"one" is in use/)(error) &&
      Number((error as { retryAfterMs?: number }).retryAfterMs) > 3_000,
  )
  await world.during(first.kill())
  const again = await member(world, { member: 'one' })
  assert.notEqual(again.memberId, first.memberId)
  assert.deepEqual(new Set(partitions(again)), new Set(held.keys()))
  for (const grant of again.grants) assert.equal(grant.epoch, (held.get(grant.partition) ?? 0) + 1)
  await world.scheduler.run(1_000)
  assert.deepEqual(other.grants, others)
})

void test('members that read a topic in another way are refused while others read it', async () => {
  const world = await started()
  const first = await member(world, { tags: ['b', 'a'] })
  const conflict = refused(
    'subscription_conflict',
    /reads topic "orders" in mode pull with tags a, b/,
  )
  await assert.rejects(TestMember.join(world, billing), conflict)
  await assert.rejects(TestMember.join(world, { ...billing, tags: ['a'] }), conflict)
  await assert.rejects(
    TestMember.join(world, { ...billing, tags: ['a', 'b'], mode: 'broadcast' }),
    conflict,
  )
  await TestMember.join(world, { ...billing, tags: ['a', 'b', 'a'] })
  await world.ask(topicCreate, { name: 'other', partitions: 1 })
  await TestMember.join(world, { ...billing, topics: ['other'] })
  await world.during(first.leave())
  await world.scheduler.run(7_000)
  await TestMember.join(world, billing)
})

void test('names, topics and numbers that are not there are refused', async () => {
  const world = await started()
  const join = (fields: Partial<JoinFields>): Promise<TestMember> =>
    TestMember.join(world, { ...billing, ...fields })
  await assert.rejects(join({ group: '_x' }), refused('invalid_name'))
  await assert.rejects(join({ group: 'a b' }), refused('invalid_name'))
  await assert.rejects(join({ member: 'a/b' }), refused('invalid_name', /member name "a\/b"/))
  await assert.rejects(join({ topics: ['orders', 'absent'] }), refused('topic_not_found', /absent/))
  await assert.rejects(join({ topics: [] }), refused('invalid_request'))
  const first = await member(world)
  await assert.rejects(join({ group: 'Billing' }), refused('invalid_name', /"billing" exists/))
  const who = { groupId: first.joined.groupId, memberId: first.memberId }
  await assert.rejects(
    world.ask(groupStart, { ...who, topicId: topicId(9), offsets: [] }),
    refused('topic_not_found'),
  )
  await assert.rejects(
    world.ask(groupStart, {
      ...who,
      topicId: topicId(1),
      offsets: Array.from({ length: 5 }, () => offset(0)),
    }),
    refused('invalid_request', /has 4 partitions/),
  )
  const stranger = { groupId: groupId(77), memberId: 'm' }
  await assert.rejects(
    world.ask(groupSession, { ...stranger, version: 0, waitMs: 0 }),
    refused('member_unknown'),
  )
  await assert.rejects(
    world.ask(groupRelease, { ...stranger, released: [] }),
    refused('member_unknown'),
  )
  await assert.rejects(
    world.ask(groupStart, { ...stranger, topicId: topicId(1), offsets: [] }),
    refused('member_unknown'),
  )
  assert.deepEqual(await world.ask(groupLeave, stranger), {})
})

void test('a start that comes second changes nothing', async () => {
  const world = await started(1)
  const first = await TestMember.join(world, billing)
  const second = await TestMember.join(world, billing)
  assert.equal(second.joined.unstarted.length, 1)
  await world.during(Promise.all([first.startAll([5]), second.startAll([9])]))
  await world.during(first.turn())
  assert.equal(first.grants[0]?.offset, 5)
})

void test('commits are refused one by one: below progress, under another epoch, of a topic not read', async () => {
  const world = await started()
  const first = await member(world)
  assert.deepEqual(await world.during(first.commit(0, 10)), [])
  assert.deepEqual(await world.during(first.commit(0, 10)), [])
  const [lower] = await world.during(first.commit(0, 9))
  assert.deepEqual([lower?.error, lower?.offset], [5007, 10])
  const [fenced] = await world.during(first.commit(0, 11, { epoch: epoch(2) }))
  assert.deepEqual([fenced?.error, fenced?.offset], [5006, 10])
  const [absent] = await world.during(first.commit(0, 1, { topicId: topicId(9) }))
  assert.equal(absent?.error, 2002)
})

void test('partitions that are added are granted, from their first message', async () => {
  const world = await started(2)
  const first = (await member(world)).keep()
  await world.ask(topicSet, { name: 'orders', partitions: 3 })
  await world.scheduler.run(500)
  assert.deepEqual(
    first.grants.map(({ partition, epoch: of, offset: at }) => [partition, of, at]),
    [
      [0, 1, 0],
      [1, 1, 0],
      [2, 1, 0],
    ],
  )
})

void test('a topic that is deleted is lost to its members, and forgotten', async () => {
  const world = await started(2)
  const first = (await member(world)).keep()
  await world.ask(topicDelete, { name: 'orders' })
  await world.scheduler.run(500)
  assert.deepEqual([first.grants, first.revoking], [[], []])
  const session = await world.registry.openSession(() => undefined)
  assert.deepEqual(await session.children('/grants/1'), [])
  assert.deepEqual(await session.children('/progress/1'), [])
  const { topic } = await world.ask(topicCreate, { name: 'orders', partitions: 2 })
  const again = await TestMember.join(world, billing)
  assert.deepEqual(again.joined.unstarted, [{ name: 'orders', topicId: topic.id }])
})
