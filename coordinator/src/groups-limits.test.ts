import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sleep } from '@popmq/kit'
import type { AssignorModules } from './core/groups/assignor-choice.ts'
import { setGroup } from './core/groups/group-admin.ts'
import { resetGroup } from './core/groups/group-reset.ts'
import { CoreMember, keyOf } from './testing/core-member.ts'
import { refused } from './testing/coordinator-world.ts'
import { GroupsWorld } from './testing/groups-world.ts'
import { MemoryRegistry } from './registry/memory-registry.ts'
import { SlowRegistry } from './testing/slow-registry.ts'

void test('a group reads at most 65,536 partitions, and a plan of so many is written in several commits', async () => {
  const registry = new SlowRegistry(new MemoryRegistry())
  const world = await GroupsWorld.start({ registry })
  const topics = Array.from({ length: 65 }, (_, at) => `t${at}`)
  for (const name of topics) await world.createTopic(name, 1_024)
  const tooMany = new CoreMember(world, { topics })
  await assert.rejects(
    world.during(tooMany.join()),
    refused('group_too_large', /66560 partitions of 65 topics/),
  )
  const group = world.cluster.groups
  assert.deepEqual(group.list(), [])
  const most = new CoreMember(world, { topics: topics.slice(0, 64) })
  await world.during(most.join())
  const before = registry.commits
  await world.run(2_000)
  assert.ok(registry.commits - before >= 3, 'several commits')
  await world.during(most.turn())
  assert.equal(most.grants.length, 65_536)
  await world.takeOver()
  await world.during(most.turn())
  assert.equal(new Set(most.grants.map(keyOf)).size, 65_536)
})

void test('a group whose members no longer fit into one node takes no more', async () => {
  const world = await GroupsWorld.start()
  await world.createTopic('t', 1)
  let joined = 0
  const join = async (): Promise<void> => {
    for (; joined < 5_000; joined += 1)
      await world.during(new CoreMember(world, { client: 'x'.repeat(128) }).join())
  }
  await assert.rejects(join(), refused('group_too_large', /members: no more fit/))
  assert.ok(joined > 600, `${joined} joined`)
  await world.run(3_000)
  assert.equal(world.cluster.leadership.deposed, undefined)
})

void test('a user’s assignor is used, and where it fails sticky is, which the rebalance says', async () => {
  let isBroken = false
  const assignorModules: AssignorModules = new Map([
    [
      'all-to-last',
      async ({ members, topics }) => {
        if (isBroken) throw new Error('broken')
        const memberId = members.at(-1)?.memberId
        return topics.flatMap(({ topicId, partitions }) =>
          Array.from({ length: partitions }, (_, partition) => ({ topicId, partition, memberId })),
        )
      },
    ],
  ])
  const world = await GroupsWorld.start({ options: { assignorModules } })
  await world.createTopic('t', 4)
  const { groups } = world.cluster
  await world.during(setGroup(groups, { group: 'g', config: { assignor: 'all-to-last' } }))
  const first = new CoreMember(world).keep()
  const second = new CoreMember(world).keep()
  await world.run(3_000)
  assert.deepEqual([first.grants.length, second.grants.length], [0, 4])
  assert.equal(groups.named('g').rebalances.latest(1)[0]?.fallback, undefined)
  isBroken = true
  const third = new CoreMember(world).keep()
  await world.run(3_000)
  const [latest] = groups.named('g').rebalances.latest(1)
  assert.deepEqual(
    [latest?.assignor, latest?.fallback],
    ['all-to-last', 'all-to-last: Error: broken'],
  )
  assert.deepEqual(
    [first, second, third].map(({ grants }) => grants.length),
    [1, 2, 1],
  )
})

void test('a member that leaves while a user’s assignor thinks costs the others nothing', async () => {
  const led: { world?: GroupsWorld } = {}
  const assignorModules: AssignorModules = new Map([
    [
      'slow',
      async ({ members, topics }) => {
        if (led.world !== undefined) await sleep(led.world.scheduler, 40)
        // The newest member has all that is not its elder's first half.
        const [first] = members
        const last = members.at(-1)
        return topics.flatMap(({ topicId, partitions }) =>
          Array.from({ length: partitions }, (_, partition) => ({
            topicId,
            partition,
            memberId: (partition < 2 ? first : last)?.memberId,
          })),
        )
      },
    ],
  ])
  const world = await GroupsWorld.start({ options: { assignorModules } })
  led.world = world
  await world.createTopic('t', 4)
  const { groups } = world.cluster
  await world.during(setGroup(groups, { group: 'g', config: { assignor: 'slow' } }))
  const first = new CoreMember(world).keep()
  await world.run(3_000)
  assert.equal(first.grants.length, 4)
  const { version } = first
  const second = new CoreMember(world).keep()
  await world.run(20)
  second.leave()
  await world.run(3_000)
  assert.deepEqual([first.version, first.grants.length], [version, 4])
})

void test('with the failover assignor the oldest member has all, and the next one when it goes', async () => {
  const world = await GroupsWorld.start()
  await world.createTopic('t', 4)
  const config = { assignor: 'failover' }
  await world.during(setGroup(world.cluster.groups, { group: 'g', config }))
  const members: CoreMember[] = []
  for (const _ of [1, 2, 3]) {
    members.push(new CoreMember(world).keep())
    await world.run(1_500)
  }
  const counts = (): number[] => members.map(({ grants }) => grants.length)
  assert.deepEqual(counts(), [4, 0, 0])
  assert.deepEqual(new Set(members[0]?.grants.map(({ epoch }) => epoch)), new Set([1]))
  members.shift()?.leave()
  await world.run(1_500)
  assert.deepEqual(counts(), [4, 0])
})

void test('a reset in broadcast sets the progress of every static member', async () => {
  const world = await GroupsWorld.start()
  await world.createTopic('t', 1)
  const mode = 'broadcast' as const
  const members = ['one', 'two'].map((member) => new CoreMember(world, { mode, member }).keep())
  await world.run(1_000)
  const [grant] = members[0]?.grants ?? []
  assert.ok(grant)
  const { topicId, partition } = grant
  const offset = 7 as typeof grant.offset
  const request = { group: 'g', topicId, offsets: [{ partition, offset }] }
  const moves = await world.during(resetGroup(world.cluster.groups, request))
  assert.deepEqual(moves, [{ partition, to: 7 }])
  await world.run(1_000)
  for (const { grants } of members)
    assert.deepEqual(grants, [{ topicId, partition, epoch: 2, offset: 7 }])
})
