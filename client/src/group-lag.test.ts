import assert from 'node:assert/strict'
import { test } from 'node:test'
import { offset, partitionNumber, type PartitionState, type TopicInfo } from '@popmq/protocol'
import { FakeWaiting } from './testing/fake-waiting.ts'
import { makeWorld } from './testing/world.ts'

const nothing = { ready: 0, leased: 0, retrying: 0, parked: 0, dead: 0, acked: 0, skipped: 0 }

function state(
  { id: topicId }: TopicInfo,
  partition: number,
  told: Partial<PartitionState>,
): PartitionState {
  const bounds = { low: offset(0), high: offset(0) }
  return { topicId, partition: partitionNumber(partition), ...bounds, ...nothing, ...told }
}

async function setUp() {
  const waiting = new FakeWaiting()
  const world = await makeWorld({ parts: [waiting] })
  const popped = world.cluster.addTopic('popped', 2)
  const pulled = world.cluster.addTopic('pulled', 2)
  const names = [popped, pulled].map(({ id: topicId, name }) => ({ topicId, name }))
  waiting.lag = { at: 10_000, partitions: [], unknown: [], topics: names, delayed: [] }
  return { ...world, waiting, popped, pulled }
}

void test('a popped partition is told in all its states, with ages by the clock of the coordinator', async () => {
  const { client, until, waiting, popped } = await setUp()
  const counts = { ready: 3, leased: 2, retrying: 1, parked: 0, dead: 1, acked: 5, skipped: 8 }
  const oldest = { oldestReadyAt: 9_000, oldestLeasedAt: 10_500, oldestDeadAt: 1_000 }
  waiting.lag = {
    ...waiting.lag,
    partitions: [
      state(popped, 1, { low: offset(4), high: offset(20), ...counts, ...oldest }),
      state(popped, 0, {}),
    ],
    delayed: [{ topicId: popped.id, count: 6 }],
  }
  const { partitions, unknown, delayed } = await until(client.admin().groups().states('billing'))
  const place = { topic: 'popped', committed: -1 }
  assert.deepEqual(partitions, [
    { ...place, partition: 0, low: 0, high: 0, messages: 0, lagMs: 0, states: nothing },
    {
      ...place,
      partition: 1,
      low: 4,
      high: 20,
      messages: 3,
      lagMs: 1_000,
      // What was appended just now, by a clock that goes ahead, is no negative age.
      states: { ...counts, readyAgeMs: 1_000, leasedAgeMs: 0, deadAgeMs: 9_000 },
    },
  ])
  assert.deepEqual([unknown, delayed], [[], [{ topic: 'popped', count: 6 }]])
})

void test('a pulled partition counts what is not committed, as before', async () => {
  const { client, until, waiting, pulled, clock } = await setUp()
  await until(client.producer().sendBatch([0, 1, 2, 3].map((value) => ({ topic: 'pulled', value, partition: 1 })))) // prettier-ignore
  await clock.run(3_000)
  const bounds = { low: offset(0), high: offset(4) }
  waiting.lag = {
    ...waiting.lag,
    partitions: [
      state(pulled, 0, { ...bounds, committed: offset(1), ready: 2, oldestReadyAt: 4_000 }),
      state(pulled, 1, { ...bounds, committed: offset(3), ready: 1 }),
    ],
  }
  const lag = await until(client.admin().groups().lag('billing'))
  assert.deepEqual(
    lag.map(({ committed, messages }) => [committed, messages]),
    [[1, 3], [3, 1]], // prettier-ignore
  )
  assert.equal(lag[0]?.lagMs, 6_000)
  // Nobody told when its first message was appended: it is looked at.
  assert.ok((lag[1]?.lagMs ?? 0) >= 3_000)
})

void test('what is not known is told as such by states, and is an error of lag', async () => {
  const { client, until, failure, waiting, popped } = await setUp()
  const unknown = [{ topicId: popped.id, partition: partitionNumber(1) }]
  waiting.lag = { ...waiting.lag, partitions: [state(popped, 0, {})], unknown }
  const groups = client.admin().groups()
  const states = await until(groups.states('billing'))
  assert.deepEqual(states.unknown, [{ topic: 'popped', partition: 1 }])
  assert.equal(states.partitions.length, 1)
  const error = await failure(groups.lag('billing'))
  assert.equal(error.name, 'unreachable')
  assert.match(error.message, /partition 1 of topic "popped"/)
})

void test('the readings of broadcast members are reckoned from their progress', async () => {
  const { client, until, waiting, pulled } = await setUp()
  await until(client.producer().sendBatch([0, 1].map((value) => ({ topic: 'pulled', value, partition: 0 })))) // prettier-ignore
  waiting.described = {
    topics: [],
    progress: [
      { topicId: pulled.id, member: 'b', offsets: [offset(1)] },
      { topicId: pulled.id, member: 'a', offsets: [offset(2)] },
      { topicId: pulled.id, offsets: [offset(0)] },
    ],
  }
  const lag = await until(client.admin().groups().lag('billing'))
  assert.deepEqual(
    lag.map(({ member, committed, messages, states }) => [member, committed, messages, states]),
    [['a', 2, 0, undefined], ['b', 1, 1, undefined]], // prettier-ignore
  )
})
