import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  epoch,
  groupLag,
  groupOpen,
  offset,
  partitionNumber,
  type PartitionState,
  topicCreate,
  topicId,
  type TopicId,
} from '@popmq/protocol'
import { CoordinatorWorld, refused, type TestBroker } from './testing/coordinator-world.ts'
import { TestMember } from './testing/test-member.ts'

/** Two brokers; topics a (id 1) and b (id 2) have a partition on each. */
async function started(): Promise<{ world: CoordinatorWorld; brokers: [TestBroker, TestBroker] }> {
  const world = new CoordinatorWorld()
  await world.start()
  const brokers: [TestBroker, TestBroker] = [await world.openBroker(1), await world.openBroker(2)]
  for (const broker of brokers) broker.keep()
  await world.ask(topicCreate, { name: 'a', partitions: 2 })
  await world.ask(topicCreate, { name: 'b', partitions: 2 })
  return { world, brokers }
}

const none = { ready: 0, leased: 0, retrying: 0, parked: 0, dead: 0, acked: 0, skipped: 0 }

/** The partitions of a topic that a broker leads, `high` at 10. */
function states(
  broker: TestBroker,
  id: TopicId,
  fields: Partial<PartitionState> = {},
): PartitionState[] {
  const sets = broker.topics.find((topic) => topic.id === id)?.sets ?? []
  return sets.flatMap((set, at) => {
    if (set !== broker.opened.setId) return []
    const place = { topicId: id, partition: partitionNumber(at) }
    return [{ ...place, low: offset(0), high: offset(10), ...none, ...fields }]
  })
}

const of = (partitions: readonly { readonly topicId: number; readonly partition: number }[]) =>
  partitions.map((each) => `${each.topicId}/${each.partition}`).toSorted()

void test('the lag of a group is what the brokers report, with the progress that is kept here', async () => {
  const { world, brokers } = await started()
  await world.ask(groupOpen, { group: 'g', topics: ['a'] })
  const member = await TestMember.join(world, { group: 'g', topics: ['b'] })
  await world.during(member.startAll([4, 4]))
  await world.during(member.turn())
  await world.during(member.commit(0, 6))
  for (const broker of brokers)
    broker.reports = () => ({
      partitions: [
        ...states(broker, topicId(1), { ready: 3, leased: 7 }),
        ...states(broker, topicId(2), { retrying: 1 }),
      ],
      delayed: [
        { topicId: topicId(1), count: 2 },
        { topicId: topicId(9), count: 5 },
      ],
    })
  const startedMs = world.scheduler.monotonic()
  const lag = await world.ask(groupLag, { group: 'g' })
  assert.ok(world.scheduler.monotonic() - startedMs < 100, 'held requests are answered at once')
  assert.equal(lag.at, world.scheduler.now())
  assert.deepEqual([of(lag.partitions), lag.unknown], [['1/0', '1/1', '2/0', '2/1'], []])
  assert.deepEqual(lag.topics, [
    { topicId: 1, name: 'a' },
    { topicId: 2, name: 'b' },
  ])
  assert.deepEqual(lag.delayed, [{ topicId: 1, count: 4 }])
  const at = (id: number, partition: number) =>
    lag.partitions.find((each) => each.topicId === id && each.partition === partition)
  assert.deepEqual([at(1, 0)?.ready, at(1, 0)?.leased, at(1, 0)?.committed], [3, 7, undefined])
  const [b0, b1] = [at(2, 0), at(2, 1)]
  assert.deepEqual([b0?.ready, b0?.acked, b0?.retrying, b0?.committed], [4, 5, 1, 6])
  assert.deepEqual([b1?.ready, b1?.acked, b1?.retrying, b1?.committed], [6, 3, 1, 4])
})

void test('partitions of a broker that is silent, or gone, are unknown', async () => {
  const { world, brokers } = await started()
  await world.ask(groupOpen, { group: 'g', topics: ['a'] })
  const [first, second] = brokers
  first.reports = () => ({ partitions: states(first, topicId(1), { ready: 10 }), delayed: [] })
  const startedMs = world.scheduler.monotonic()
  const lag = await world.ask(groupLag, { group: 'g' })
  const tookMs = world.scheduler.monotonic() - startedMs
  assert.ok(tookMs >= 5_000 && tookMs < 5_100, `it took ${tookMs} ms`)
  assert.deepEqual(of(lag.partitions), of(states(first, topicId(1))))
  assert.deepEqual(of(lag.unknown), of(states(second, topicId(1))))
  await second.kill()
  await world.scheduler.run(10)
  const againMs = world.scheduler.monotonic()
  const again = await world.ask(groupLag, { group: 'g' })
  assert.ok(world.scheduler.monotonic() - againMs < 100, 'nobody waits for who is not there')
  assert.deepEqual([of(again.partitions), of(again.unknown)], [of(lag.partitions), of(lag.unknown)])
})

void test('of a partition only the broker that leads it is heard, and an older one of its id is fenced', async () => {
  const { world, brokers } = await started()
  await world.ask(groupOpen, { group: 'g', topics: ['a'] })
  const [first, second] = brokers
  const own = states(second, topicId(1), { ready: 10 })
  second.reports = () => ({ partitions: own, delayed: [] })
  first.reports = () => ({ partitions: states(second, topicId(1), { dead: 10 }), delayed: [] })
  const lag = await world.ask(groupLag, { group: 'g' })
  assert.deepEqual(lag.partitions, own)
  assert.deepEqual(of(lag.unknown), of(states(first, topicId(1))))
  await assert.rejects(
    world.during(first.report({ ticket: 1, epoch: epoch(first.epoch + 5) })),
    refused('registry_behind'),
  )
  const again = await world.openBroker(1, { incarnation: first.incarnation })
  await assert.rejects(world.during(first.report({ ticket: 1 })), refused('broker_fenced'))
  await world.during(again.report({ ticket: 1 }))
})

void test('a group that is not there has no lag, and one in broadcast has none to tell', async () => {
  const { world } = await started()
  await assert.rejects(world.ask(groupLag, { group: 'g' }), refused('group_not_found'))
  await TestMember.join(world, { group: 'g', topics: ['a'], mode: 'broadcast' })
  const { partitions, unknown, topics } = await world.ask(groupLag, { group: 'g' })
  assert.deepEqual([partitions, unknown, topics], [[], [], []])
})

void test('who waits for a lag is told when the coordinator stops', async () => {
  const world = new CoordinatorWorld()
  const coordinator = await world.start()
  ;(await world.openBroker(1)).keep()
  await world.ask(topicCreate, { name: 'a', partitions: 1 })
  await world.ask(groupOpen, { group: 'g', topics: ['a'] })
  const caller = await world.connect()
  const stopped = assert.rejects(
    caller.call(groupLag, { group: 'g' }, { timeoutMs: 60_000 }),
    refused('shutting_down'),
  )
  await world.scheduler.run(100)
  await world.during(coordinator.close())
  await world.during(stopped)
})
