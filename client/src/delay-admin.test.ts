import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type DelayedMessage, firstHeldNumber, MqError } from '@popmq/protocol'
import { partitionNumber, topicId, type TopicInfo } from '@popmq/protocol'
import { FakeWaiting } from './testing/fake-waiting.ts'
import { makeWorld, type World } from './testing/world.ts'

async function setUp(): Promise<World & { waiting: FakeWaiting; topic: TopicInfo }> {
  const waiting = new FakeWaiting()
  const world = await makeWorld({ brokers: 3, parts: [waiting] })
  // Partitions in sets 1 and 2; set 3 has another topic's.
  const topic = world.cluster.addTopic('orders', 2)
  world.cluster.addTopic('others', 3)
  return { ...world, waiting, topic }
}

function delayed(topic: TopicInfo, at: number, dueAt: number): DelayedMessage {
  const partition = partitionNumber(0)
  return { number: firstHeldNumber + at, topicId: topic.id, partition, dueAt, bytes: 120 }
}

void test('delayed messages are listed over all brokers of a topic, soonest first', async () => {
  const { client, until, waiting, topic, cluster } = await setUp()
  waiting.set(1).delayed = [5, 1, 9].map((due, at) => delayed(topic, at, due))
  waiting.set(2).delayed = [4, 2].map((due, at) => delayed(topic, at, due))
  waiting.set(2).delayed.push({ ...delayed(topic, 7, 0), topicId: topicId(99) })
  const delays = client.admin().delays()
  const list = await until(delays.list('orders'))
  assert.deepEqual(
    list.messages.map(({ id, dueAt }) => [id, dueAt]),
    [['1-1', 1], ['2-1', 2], ['2-0', 4], ['1-0', 5], ['1-2', 9]], // prettier-ignore
  )
  assert.deepEqual(list.messages[0], {
    id: '1-1',
    topic: 'orders',
    partition: 0,
    dueAt: 1,
    bytes: 120,
  })
  assert.deepEqual([list.total, list.complete], [5, true])
  assert.ok(
    !cluster.asked.some(({ name, address }) => name === 'delay_list' && address === 'broker:3'),
  )
  const some = await until(delays.list('orders', { limit: 2 }))
  assert.deepEqual([some.messages.length, some.total, some.complete], [2, 5, false])
  const exact = await until(delays.list('orders', { limit: 5 }))
  assert.equal(exact.complete, true)
})

void test('a delayed message is shown with its record, cancelled and moved at the leader of its set', async () => {
  const { client, until, failure, waiting, topic, clock } = await setUp()
  waiting.set(2).delayed = [delayed(topic, 0, 5), delayed(topic, 1, 6)]
  const delays = client.admin().delays()
  const { message, dueAt, topic: name } = await until(delays.show('2-1'))
  assert.deepEqual([message.value, message.offset, message.key, dueAt, name], ['delayed', -1, 'k', 6, 'orders']) // prettier-ignore
  assert.equal(await until(delays.cancel('2-1')), 'done')
  assert.equal(await until(delays.cancel('2-1')), 'delivered')
  const at = clock.now() + 1_000
  assert.deepEqual(await until(delays.move('2-0', new Date(at))), { result: 'done', dueAt: at })
  assert.equal((await failure(delays.show('2-1'))).name, 'message_not_found')
  assert.equal((await failure(delays.show('77-1'))).name, 'message_not_found')
  assert.equal(await until(delays.cancel('77-1')), 'unknown')
})

void test('an id and a time that are none are refused before anybody is asked', async () => {
  const { client, failure, waiting, clock } = await setUp()
  const delays = client.admin().delays()
  for (const id of ['', '1', '1-', '-1', '0-1', '1-01', 'a-1', '1-1-1', '1-9007199254740993']) {
    assert.equal((await failure(delays.cancel(id))).name, 'invalid_request', id)
  }
  for (const at of [Number.NaN, new Date('9999-01-01'), clock.now() + 367 * 86_400_000]) {
    assert.equal((await failure(delays.move('1-1', at))).name, 'invalid_request')
  }
  assert.equal((await failure(delays.list('nothing'))).name, 'topic_not_found')
  assert.deepEqual(waiting.set(1).changes, [])
})

void test('a change that may have been made is not made again; one that was surely not is', async () => {
  const { client, until, failure, waiting, topic, cluster } = await setUp()
  waiting.set(1).delayed = [delayed(topic, 0, 5), delayed(topic, 1, 5)]
  const delays = client.admin().delays()
  let isFirst = true
  cluster.fault = ({ name }) => {
    if (name !== 'delay_change' || !isFirst) return undefined
    isFirst = false
    return { kind: 'refuse', error: new MqError('not_leader', 'another leads') }
  }
  assert.equal(await until(delays.cancel('1-0')), 'done')
  cluster.fault = ({ name }) => (name === 'delay_change' ? { kind: 'lose_reply' } : undefined)
  assert.equal((await failure(delays.cancel('1-1'))).name, 'connection_lost')
  assert.equal(waiting.set(1).changes.length, 2)
})
