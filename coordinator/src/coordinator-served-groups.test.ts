import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  groupDelete,
  groupOpen,
  groupPause,
  groupReset,
  groupSet,
  offset,
  partitionNumber,
  type ServedGroup,
  topicCreate,
  topicId,
} from '@popmq/protocol'
import { CoordinatorWorld, refused, sessionMs } from './testing/coordinator-world.ts'
import { TestMember } from './testing/test-member.ts'

const jobs = { group: 'jobs', topics: ['a'] }

/** Topics a (id 1) and b (id 2), of two partitions each. */
async function started(): Promise<CoordinatorWorld> {
  const world = new CoordinatorWorld()
  await world.start()
  const broker = (await world.openBroker(1)).keep()
  await world.ask(topicCreate, { name: 'a', partitions: 2 })
  await world.ask(topicCreate, { name: 'b', partitions: 2 })
  await broker.kill()
  return world
}

const told = (groups: readonly ServedGroup[]): unknown[] =>
  groups.map(({ name, topics }) => [
    name,
    ...topics.map(({ topicId: id, mode, isPaused }) => `${id} ${mode}${isPaused ? ' paused' : ''}`),
  ])

void test('a change of a group is answered when every broker with a session has applied it', async () => {
  const world = await started()
  const quick = (await world.openBroker(1)).keep()
  const slow = await world.openBroker(2)
  await world.during(slow.renew())
  const client = await world.connect()
  const changes = [
    () => client.call(groupOpen, jobs, { timeoutMs: 60_000 }),
    () =>
      client.call(groupSet, { group: 'jobs', config: { maxAttempts: '3' } }, { timeoutMs: 60_000 }),
    () => client.call(groupOpen, { group: 'jobs', topics: ['b'] }, { timeoutMs: 60_000 }),
    () => client.call(groupPause, { group: 'jobs', isPaused: true }, { timeoutMs: 60_000 }),
    () => client.call(groupPause, { group: 'jobs', isPaused: false }, { timeoutMs: 60_000 }),
    () => client.call(groupReset, reset, { timeoutMs: 60_000 }),
    () => client.call(groupDelete, { group: 'jobs' }, { timeoutMs: 60_000 }),
  ]
  for (const [number, change] of changes.entries()) {
    let isAnswered = false
    const answer = change().then(() => (isAnswered = true))
    await world.scheduler.run(200)
    assert.equal(quick.version > slow.version, true, `change ${number} has reached the quick one`)
    await world.during(slow.renew())
    await world.scheduler.run(200)
    assert.deepEqual(slow.groups, quick.groups)
    assert.equal(isAnswered, false, `change ${number} was told, and is not known to be applied`)
    await world.during(slow.renew())
    await world.during(answer)
  }
  assert.deepEqual(slow.groups, [])
  assert.equal(slow.timesGroups, changes.length + 1)
})

const reset = {
  group: 'jobs',
  topicId: topicId(1),
  offsets: [{ partition: partitionNumber(1), offset: offset(7) }],
}

void test('a broker that does not apply it is named, and one whose session is over is not waited for', async () => {
  const world = await started()
  ;(await world.openBroker(1)).keep()
  const frozen = await world.openBroker(2)
  const startedMs = world.scheduler.monotonic()
  await world.ask(groupOpen, jobs)
  const tookMs = world.scheduler.monotonic() - startedMs
  assert.ok(tookMs > sessionMs - 200 && tookMs < sessionMs + 200, `it took ${tookMs} ms`)
  const version = frozen.version
  let isOver = false
  const renews = (async () => {
    while (!isOver) {
      await frozen.renew({ appliedVersion: version })
      await new Promise<void>((resolve) => world.scheduler.after(1_000, resolve))
    }
  })()
  await assert.rejects(
    world.ask(groupOpen, { group: 'others', topics: ['a'] }),
    refused('timed_out', /not applied it yet: 2/),
  )
  isOver = true
  await world.during(renews)
})

void test('groups that did not change are not told again with a topic, nor by who joins or opens again', async () => {
  const world = await started()
  const broker = (await world.openBroker(1)).keep()
  await world.ask(groupOpen, jobs)
  const first = (await TestMember.join(world, { group: 'pulls', topics: ['b'] })).keep()
  assert.deepEqual(told(broker.groups), [
    ['jobs', '1 pop'],
    ['pulls', '2 pull'],
  ])
  const { version, timesGroups } = broker
  await world.ask(groupOpen, jobs)
  await TestMember.join(world, { group: 'pulls', topics: ['b'] })
  await world.scheduler.run(1_000)
  assert.equal(broker.version, version)
  await world.ask(topicCreate, { name: 'c', partitions: 1 })
  assert.deepEqual([broker.version, broker.timesGroups], [version + 1, timesGroups])
  assert.equal(first.ended, undefined)
})

void test('a member that joins a new group is in it, however long brokers take to hear of the group', async () => {
  const world = await started()
  ;(await world.openBroker(1)).keep()
  await world.openBroker(2)
  await world.ask(groupSet, { group: 'pulls', config: { sessionTimeout: '500ms' } })
  await world.scheduler.run(sessionMs)
  const frozen = await world.openBroker(2)
  await world.during(frozen.renew())
  const member = await TestMember.join(world, { group: 'pulls', topics: ['a'] })
  await world.during(member.startAll([]))
  await world.during(member.turn())
  assert.equal(member.grants.length, 2)
})

void test('the first answer to a broker has the keys of handles, further ones have not', async () => {
  const world = await started()
  const broker = await world.openBroker(1)
  const first = await world.during(broker.renew())
  assert.equal(first.handleKeys?.length, 1)
  assert.equal(first.handleKeys[0]?.key.length, 32)
  assert.equal((await world.during(broker.renew())).handleKeys, undefined)
  broker.keep()
  await world.ask(groupOpen, jobs)
  assert.equal((await world.during(broker.renew({ waitMs: 0 }))).handleKeys, undefined)
  const other = await world.openBroker(2)
  assert.deepEqual((await world.during(other.renew())).handleKeys, first.handleKeys)
})

void test('after a month a broker has two keys, after two the first is gone', async () => {
  const world = await started()
  const broker = (await world.openBroker(1)).keep()
  await world.scheduler.run(100)
  const [first] = broker.handleKeys
  const dayMs = 86_400_000
  // Time passes without its 40,000 held requests.
  await broker.kill()
  await world.scheduler.run(31 * dayMs)
  const back = (await world.openBroker(1)).keep()
  await world.scheduler.run(100)
  assert.deepEqual(
    back.handleKeys.map(({ id }) => id),
    [1, 0],
  )
  assert.deepEqual(back.handleKeys[1], first)
  await back.kill()
  await world.scheduler.run(31 * dayMs)
  const last = await world.openBroker(1)
  await world.during(last.renew())
  assert.deepEqual(
    last.handleKeys.map(({ id }) => id),
    [2, 1],
  )
})

void test('a new leader tells groups and keys to a broker that is behind, and not to one that is up to date', async () => {
  const world = new CoordinatorWorld()
  const coordinator = await world.start()
  const broker = (await world.openBroker(1)).keep()
  await world.ask(topicCreate, { name: 'a', partitions: 3 })
  const { version: before } = broker
  const starts = [{ topicId: topicId(1), offsets: [5, 6].map((at) => offset(at)) }]
  await world.ask(groupOpen, { ...jobs, tags: ['x'], starts })
  await world.ask(groupReset, reset)
  await world.ask(groupPause, { group: 'jobs', isPaused: true })
  const { groups, handleKeys, version } = broker
  const [group] = groups
  assert.deepEqual(group?.topics, [
    {
      topicId: 1,
      mode: 'pop',
      tags: ['x'],
      isPaused: true,
      starts: [5, 6],
      reset: { generation: 1, offsets: [{ partition: 1, offset: 7, generation: 1 }] },
    },
  ])
  assert.deepEqual([group.groupId, group.deadTopicId], [1, 2])
  broker.freeze()
  await world.during(coordinator.close())
  await world.start()
  const facts = { incarnation: broker.incarnation, highestEpoch: broker.epoch, highestTopicId: 2 }
  const back = await world.openBroker(1, facts)
  const upToDate = await world.during(back.renew({ appliedVersion: version }))
  assert.deepEqual(upToDate, { version })
  const behind = await world.during(back.renew({ appliedVersion: before }))
  assert.deepEqual([behind.groups, behind.handleKeys], [groups, handleKeys])
  back.keep()
  await world.ask(groupReset, {
    ...reset,
    offsets: [{ partition: partitionNumber(0), offset: offset(1) }],
  })
  assert.deepEqual(back.groups[0]?.topics[0]?.reset, {
    generation: 2,
    offsets: [
      { partition: 0, offset: 1, generation: 2 },
      { partition: 1, offset: 7, generation: 1 },
    ],
  })
})
