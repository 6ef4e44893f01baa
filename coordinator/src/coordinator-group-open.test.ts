import assert from 'node:assert/strict'
import { test } from 'node:test'
import { present } from '@popmq/kit'
import {
  groupDelete,
  groupDescribe,
  groupList,
  groupOpen,
  groupPause,
  groupReset,
  offset,
  partitionNumber,
  topicCreate,
  topicDelete,
  topicId,
} from '@popmq/protocol'
import { MemoryRegistry } from './registry/memory-registry.ts'
import { CoordinatorWorld, refused, type TestBroker } from './testing/coordinator-world.ts'
import { SlowRegistry } from './testing/slow-registry.ts'
import { TestMember } from './testing/test-member.ts'

/** Topics a (id 1) and b (id 2), of two partitions each. */
async function started(): Promise<{
  world: CoordinatorWorld
  broker: TestBroker
  registry: SlowRegistry
}> {
  const registry = new SlowRegistry(new MemoryRegistry())
  const world = new CoordinatorWorld(registry)
  await world.start()
  const broker = (await world.openBroker(1)).keep()
  await world.ask(topicCreate, { name: 'a', partitions: 2 })
  await world.ask(topicCreate, { name: 'b', partitions: 2 })
  return { world, broker, registry }
}

const jobs = { group: 'jobs', topics: ['a'] }
const conflict = refused('subscription_conflict', /group "jobs" reads topic "a" in mode/)
const at = (...offsets: readonly number[]) => offsets.map((each) => offset(each))

void test('a group is opened once, topics are added to it, and what is there already is not new', async () => {
  const { world, broker } = await started()
  const first = await world.ask(groupOpen, { ...jobs, topics: ['a', 'a'] })
  assert.deepEqual(first, {
    groupId: 1,
    invisibleMs: 30_000,
    topics: [{ name: 'a', topicId: 1, isNew: true }],
  })
  const { version } = broker
  const second = await world.ask(groupOpen, { group: 'jobs', topics: ['a', 'b'] })
  assert.deepEqual(
    second.topics.map(({ name, isNew }) => [name, isNew]),
    [
      ['a', false],
      ['b', true],
    ],
  )
  const third = await world.ask(groupOpen, { group: 'jobs', topics: ['b', 'a'] })
  assert.deepEqual(
    third.topics.map(({ isNew }) => isNew),
    [false, false],
  )
  assert.equal(broker.version, version + 1)
})

void test('many that open a new group at once cost one write, and one of them began it', async () => {
  const { world, broker, registry } = await started()
  const { version } = broker
  const { commits } = registry
  Object.assign(registry, { clock: world.scheduler, commitMs: 50 })
  const callers = await Promise.all(Array.from({ length: 8 }, () => world.connect()))
  const opened = await world.during(
    Promise.all(callers.map((caller) => caller.call(groupOpen, jobs, { timeoutMs: 10_000 }))),
  )
  assert.equal(opened.filter(({ reply }) => reply.topics[0]?.isNew).length, 1)
  assert.deepEqual([broker.version, registry.commits], [version + 1, commits + 1])
})

void test('starts count for topics that are new to the group alone', async () => {
  const { world, broker } = await started()
  const starts = [{ topicId: topicId(1), offsets: at(3, 4) }]
  await world.ask(groupOpen, { ...jobs, starts })
  const later = [
    { topicId: topicId(1), offsets: at(9, 9) },
    { topicId: topicId(2), offsets: at(5) },
  ]
  await world.ask(groupOpen, { group: 'jobs', topics: ['a', 'b'], starts: later })
  assert.deepEqual(
    broker.groups[0]?.topics.map((topic) => topic.starts),
    [[3, 4], [5]],
  )
  const tooMany = [{ topicId: topicId(1), offsets: at(1, 2, 3) }]
  await assert.rejects(
    world.ask(groupOpen, { ...jobs, starts: tooMany }),
    refused('invalid_request', /starts name 3 partitions of topic 1, asked for are 2/),
  )
})

void test('what cannot be opened is refused, and makes no group', async () => {
  const { world } = await started()
  const open = (group: string, topics: readonly string[]) => world.ask(groupOpen, { group, topics })
  await assert.rejects(open('jobs', ['absent']), refused('topic_not_found'))
  await assert.rejects(open('jobs', []), refused('invalid_request'))
  await assert.rejects(open('../jobs', ['a']), refused('invalid_name'))
  assert.deepEqual(await world.ask(groupList, {}), { groups: [] })
  await open('jobs', ['a'])
  await assert.rejects(open('Jobs', ['a']), refused('invalid_name', /capital letters/))
})

void test('a topic is popped or pulled, with the same tags by all', async () => {
  const { world } = await started()
  await world.ask(groupOpen, { ...jobs, tags: ['x', 'y'] })
  await world.ask(groupOpen, { ...jobs, tags: ['y', 'x', 'x'] })
  await assert.rejects(world.ask(groupOpen, { ...jobs, tags: ['x'] }), conflict)
  await assert.rejects(world.ask(groupOpen, jobs), conflict)
  await assert.rejects(TestMember.join(world, { ...jobs, tags: ['x', 'y'] }), conflict)
  await assert.rejects(TestMember.join(world, { ...jobs, mode: 'broadcast' }), conflict)
  const member = await TestMember.join(world, { group: 'jobs', topics: ['b'] })
  assert.equal(member.joined.groupId, 1)
})

void test('a pulled topic is popped only when nobody reads it and nothing was begun', async () => {
  const { world, broker } = await started()
  const member = await TestMember.join(world, jobs)
  await assert.rejects(world.ask(groupOpen, jobs), conflict)
  await world.during(member.leave())
  const opened = await world.ask(groupOpen, {
    ...jobs,
    starts: [{ topicId: topicId(1), offsets: at(2) }],
  })
  assert.equal(opened.topics[0]?.isNew, true)
  assert.deepEqual(broker.groups[0]?.topics, [
    { topicId: 1, mode: 'pop', isPaused: false, starts: [2] },
  ])
  const other = await TestMember.join(world, { group: 'jobs', topics: ['b'] })
  await world.during(other.startAll([]))
  await world.during(other.leave())
  await assert.rejects(
    world.ask(groupOpen, { group: 'jobs', topics: ['b'] }),
    refused('subscription_conflict', /mode pull with all tags, and has progress there/),
  )
})

void test('popped topics show where groups are described, and not what only brokers need', async () => {
  const { world } = await started()
  await world.ask(groupOpen, { ...jobs, starts: [{ topicId: topicId(1), offsets: at(2) }] })
  const topics = [{ name: 'a', topicId: 1, mode: 'pop', isPaused: false }]
  const { groups } = await world.ask(groupList, {})
  assert.deepEqual(groups, [{ name: 'jobs', groupId: 1, state: 'empty', members: 0, topics }])
  const { group, members, progress } = await world.ask(groupDescribe, { group: 'jobs' })
  assert.deepEqual([group.topics, members, progress], [topics, [], []])
  const paused = await world.ask(groupPause, { group: 'jobs', topic: 'a', isPaused: true })
  assert.deepEqual(paused.topics, [{ ...topics[0], isPaused: true }])
})

void test('a reset of a popped topic says where to, not from where; a dry run changes nothing', async () => {
  const { world, broker } = await started()
  await world.ask(groupOpen, jobs)
  const { version } = broker
  const offsets = [{ partition: partitionNumber(1), offset: offset(4) }]
  const asked = { group: 'jobs', topicId: topicId(1), offsets }
  const moves = [{ partition: 1, to: 4 }]
  assert.deepEqual(await world.ask(groupReset, { ...asked, dryRun: true }), { moves })
  assert.deepEqual(await world.ask(groupReset, { ...asked, offsets: [] }), { moves: [] })
  assert.deepEqual([broker.version, broker.groups[0]?.topics[0]?.reset], [version, undefined])
  assert.deepEqual(await world.ask(groupReset, asked), { moves })
  assert.deepEqual(await world.ask(groupReset, asked), { moves })
  assert.deepEqual(broker.groups[0]?.topics[0]?.reset, {
    generation: 2,
    offsets: [{ partition: 1, offset: 4, generation: 2 }],
  })
  const beyond = [{ partition: partitionNumber(2), offset: offset(0) }]
  await assert.rejects(
    world.ask(groupReset, { ...asked, offsets: beyond }),
    refused('partition_not_found'),
  )
})

void test('a group that pops is deleted at once; made again it is another, with other dead letters', async () => {
  const { world, broker } = await started()
  await world.ask(groupOpen, jobs)
  const first = present(broker.groups[0], 'it is told')
  await world.ask(groupDelete, { group: 'jobs' })
  assert.equal(broker.groups.length, 0)
  const again = await world.ask(groupOpen, jobs)
  const second = present(broker.groups[0], 'it is told')
  assert.equal(again.topics[0]?.isNew, true)
  assert.deepEqual([first.groupId, second.groupId], [1, 2])
  assert.ok(second.deadTopicId > first.deadTopicId && first.deadTopicId > 2)
  const { topic } = await world.ask(topicCreate, { name: 'c', partitions: 1 })
  assert.equal(topic.id, second.deadTopicId + 1)
})

void test('a popped topic that is deleted and made again is new to the group', async () => {
  const { world, broker } = await started()
  await world.ask(groupOpen, { ...jobs, starts: [{ topicId: topicId(1), offsets: at(2) }] })
  await world.ask(topicDelete, { name: 'a' })
  await world.scheduler.run(100)
  const { topic } = await world.ask(topicCreate, { name: 'a', partitions: 2 })
  const opened = await world.ask(groupOpen, jobs)
  assert.deepEqual(opened.topics, [{ name: 'a', topicId: topic.id, isNew: true }])
  assert.deepEqual(broker.groups[0]?.topics, [{ topicId: topic.id, mode: 'pop', isPaused: false }])
})
