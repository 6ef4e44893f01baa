import assert from 'node:assert/strict'
import { test } from 'node:test'
import { offset } from '@popmq/protocol'
import { pauseGroup, setGroup } from './core/groups/group-admin.ts'
import { describeGroup } from './core/groups/group-reports.ts'
import { handleCommit } from './handlers/group-members.ts'
import { CoreMember, keyOf } from './testing/core-member.ts'
import { refused } from './testing/coordinator-world.ts'
import { GroupsWorld } from './testing/groups-world.ts'

const grantsOf = (members: readonly CoreMember[]): string[] =>
  members.flatMap((member) => member.grants.map((grant) => `${member.memberId} ${keyOf(grant)}`))

async function steady(names: readonly (string | undefined)[]): Promise<{
  readonly world: GroupsWorld
  readonly members: readonly CoreMember[]
}> {
  const world = await GroupsWorld.start()
  await world.createTopic('t', 8)
  const members = names.map((member) =>
    new CoreMember(world, member === undefined ? {} : { member }).keep(),
  )
  await world.run(5_000)
  return { world, members }
}

void test('when another coordinator takes over no partition moves and nobody joins again', async () => {
  const { world, members } = await steady(['one', undefined, undefined])
  const [first] = members
  assert.ok(first)
  const [grant] = first.grants
  assert.ok(grant)
  await world.during(first.commit(grant, 40))
  const before = grantsOf(members)
  assert.equal(before.length, 8)
  await world.takeOver()
  const states = (): string[] =>
    [...world.cluster.groups.named('g').members].map(({ state }) => state)
  assert.deepEqual(states(), ['recovering', 'recovering', 'recovering'])
  await world.run(20_000)
  assert.deepEqual(states(), ['live', 'live', 'live'])
  assert.deepEqual(grantsOf(members), before)
  assert.deepEqual(
    members.map(({ joins }) => joins),
    [1, 1, 1],
  )
  assert.equal(first.grants.find((each) => keyOf(each) === keyOf(grant))?.offset, 40)
  const { moves } = world.cluster.groups.named('g').rebalances.latest(1)[0] ?? { moves: [] }
  assert.equal(world.cluster.groups.named('g').rebalances.latest(100).length >= 1, true)
  assert.ok(moves.length <= 8)
})

void test('a member that died with the coordinator is given up a whole session after the change', async () => {
  const { world, members } = await steady([undefined, undefined])
  members[0]?.freeze()
  await world.run(5_000)
  await world.takeOver()
  await world.run(5_900)
  assert.equal(members[1]?.grants.length, 4)
  await world.run(400)
  assert.equal(members[1]?.grants.length, 8)
})

void test('a leader that was replaced changes nothing, and is told so', async () => {
  const { world, members } = await steady([undefined])
  const [only] = members
  assert.ok(only?.joined)
  const [grant] = only.grants
  assert.ok(grant)
  const old = world.cluster
  await world.takeOver()
  const { topicId, partition, epoch } = grant
  const partitions = [{ topicId, partition, epoch, offset: offset(99) }]
  const { groupId, memberId } = only.joined
  const late = handleCommit({ groupId, memberId, partitions }, old)
  await assert.rejects(world.during(late), refused('not_coordinator'))
  assert.equal(world.cluster.groups.named('g').readings.get('1')?.progress.at(partition), 0)
  const reset = setGroup(old.groups, { group: 'g', config: { assignor: 'range' } })
  await assert.rejects(world.during(reset), refused('not_coordinator'))
})

void test('what is kept of a group is there under the next coordinator', async () => {
  const { world, members } = await steady(['one', undefined])
  const { groups } = world.cluster
  await world.during(pauseGroup(groups, { group: 'g', isPaused: true }))
  await world.during(setGroup(groups, { group: 'g', config: { sessionTimeout: '20s' } }))
  await world.run(3_000)
  const before = describeGroup(groups.named('g'))
  const { count } = groups.named('g').rebalances
  await world.takeOver()
  await world.run(10_000)
  const group = world.cluster.groups.named('g')
  const strip = ({ members: all, ...rest }: typeof before) => ({
    ...rest,
    members: all.map((member) => ({ ...member, remote: '' })),
  })
  assert.deepEqual(strip(describeGroup(group)), strip(before))
  assert.equal(group.rebalances.count, count)
  for (const { errors } of members) assert.ok(errors.every((name) => name === 'not_coordinator'))
  const latest = group.rebalances.latest(100).map(({ number }) => number)
  assert.deepEqual(
    latest,
    latest.toSorted((a, b) => b - a),
  )
})

void test('broadcast goes on under the next coordinator with the same grants', async () => {
  const world = await GroupsWorld.start()
  await world.createTopic('t', 3)
  const mode = 'broadcast' as const
  const members = [{ mode, member: 'one' }, { mode }].map((each) =>
    new CoreMember(world, each).keep(),
  )
  await world.run(3_000)
  const before = grantsOf(members)
  assert.equal(before.length, 6)
  await world.takeOver()
  await world.run(10_000)
  assert.deepEqual(grantsOf(members), before)
  assert.deepEqual(
    members.map(({ joins }) => joins),
    [1, 1],
  )
})

void test('a deleted topic that the leader before had no time to forget is forgotten by the next', async () => {
  const { world, members } = await steady([undefined])
  const { cluster } = world
  const change = await world.during(
    cluster.leadership.write(
      () => cluster.topics.prepareDelete('t', { counters: cluster.leadership.counters }),
      () => undefined,
    ),
  )
  await world.takeOver()
  await world.run(5_000)
  assert.equal(world.cluster.groups.named('g').topic(change.info.id), undefined)
  assert.deepEqual(members[0]?.grants, [])
  const session = await world.registry.openSession(() => undefined)
  assert.deepEqual(await session.children('/progress/1'), [])
})
