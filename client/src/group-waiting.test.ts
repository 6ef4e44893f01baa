import assert from 'node:assert/strict'
import { test } from 'node:test'
import { firstHeldNumber, type LeasedMessage, offset, partitionNumber } from '@popmq/protocol'
import type { TopicInfo, WaitingRetry } from '@popmq/protocol'
import { FakeWaiting } from './testing/fake-waiting.ts'
import { makeWorld, type World } from './testing/world.ts'

async function setUp(): Promise<World & { waiting: FakeWaiting; topic: TopicInfo }> {
  const waiting = new FakeWaiting()
  const world = await makeWorld({ brokers: 3, parts: [waiting] })
  const topic = world.cluster.addTopic('orders', 2)
  world.cluster.addTopic('others', 3)
  const read = { name: 'orders', topicId: topic.id, mode: 'pop' as const, isPaused: false }
  waiting.described = { topics: [read], progress: [] }
  return { ...world, waiting, topic }
}

function place(topic: TopicInfo, partition: number, at: number) {
  return { topicId: topic.id, partition: partitionNumber(partition), offset: offset(at) }
}

function leased(topic: TopicInfo, partition: number, at: number): LeasedMessage {
  return { ...place(topic, partition, at), attempt: 1, consumer: 'c', since: 1, until: 2 }
}

function retry(topic: TopicInfo, at: number, dueAt: number): WaitingRetry {
  const number = firstHeldNumber + at
  return { number, ...place(topic, 1, 40 + at), attempts: 2, dueAt, state: 'waiting' }
}

void test('what consumers have is listed by place over the brokers of the group', async () => {
  const { client, until, waiting, topic, cluster } = await setUp()
  waiting.set(1).inflight = [2, 5, 9].map((at) => leased(topic, 0, at))
  waiting.set(2).inflight = [{ ...leased(topic, 1, 41), number: firstHeldNumber + 1, attempt: 3 }]
  const groups = client.admin().groups()
  const { messages, complete } = await until(groups.inflight('billing'))
  assert.deepEqual(
    messages.map(({ id, attempt }) => [id, attempt]),
    [['orders/0/2', 1], ['orders/0/5', 1], ['orders/0/9', 1], ['2-1', 3]], // prettier-ignore
  )
  const { topic: name, partition, offset: at, consumer, since, until: end } = messages[3] ?? {}
  assert.deepEqual([name, partition, at, consumer, since, end], ['orders', 1, 41, 'c', 1, 2])
  assert.equal(complete, true)
  const few = await until(groups.inflight('billing', { limit: 3 }))
  assert.deepEqual([few.messages.length, few.complete], [3, false])
  // Set 3 has nothing of the topics that the group reads.
  assert.ok(
    !cluster.asked.some(
      ({ address, name: of }) => of === 'inflight_list' && address === 'broker:3',
    ),
  )
})

void test('a release names messages by place, and retries by what they are', async () => {
  const { client, until, failure, waiting, topic } = await setUp()
  waiting.set(1).inflight = [leased(topic, 0, 2)]
  waiting.set(2).retries = [retry(topic, 0, 5), retry(topic, 1, 5)]
  waiting.set(2).inflight = [{ ...leased(topic, 1, 41), number: firstHeldNumber + 1 }]
  const groups = client.admin().groups()
  const ids = ['orders/0/2', '2-1', 'orders/0/3', '2-9', 'gone/0/1', 'orders/7/1', '8-1']
  assert.deepEqual(
    (await until(groups.releaseInflight('billing', ids))).map(({ result }) => result),
    ['released', 'released', 'unknown', 'unknown', 'unknown', 'unknown', 'unknown'],
  )
  assert.deepEqual(waiting.set(2).changes, [
    [{ ...place(topic, 1, 41), number: firstHeldNumber + 1 }],
  ])
  for (const id of ['orders/0', 'orders/0/-1', '/0/1', 'x', '1.2.3.abc']) {
    assert.equal((await failure(groups.releaseInflight('billing', [id]))).name, 'invalid_request')
  }
})

void test('retries are listed soonest first, and changed at the broker of each', async () => {
  const { client, until, failure, waiting, topic } = await setUp()
  waiting.set(1).retries = [7, 1, 4].map((dueAt, at) => retry(topic, at, dueAt))
  waiting.set(2).retries = [{ ...retry(topic, 0, 2), state: 'leased', fingerprint: 'abcdefabcdef' }]
  const groups = client.admin().groups()
  const { messages, complete } = await until(groups.retries('billing'))
  assert.deepEqual(
    messages.map(({ id, dueAt, state }) => [id, dueAt, state]),
    [['1-1', 1, 'waiting'], ['2-0', 2, 'leased'], ['1-2', 4, 'waiting'], ['1-0', 7, 'waiting']], // prettier-ignore
  )
  assert.equal(messages[1]?.fingerprint, 'abcdefabcdef')
  assert.equal(complete, true)
  assert.deepEqual(await until(groups.retryNow('billing', ['1-0', '2-0', '1-9', '8-0'])), [
    { id: '1-0', result: 'done' },
    { id: '2-0', result: 'busy' },
    { id: '1-9', result: 'unknown' },
    { id: '8-0', result: 'unknown' },
  ])
  await until(groups.retryDead('billing', ['2-0']))
  assert.deepEqual(
    waiting.set(2).changes.map((change) => (change as { to: string }).to),
    ['now', 'dead'],
  )
  assert.equal((await failure(groups.retryNow('billing', ['orders/0/1']))).name, 'invalid_request')
  assert.equal((await failure(groups.retries('nobody'))).name, 'group_not_found')
})
