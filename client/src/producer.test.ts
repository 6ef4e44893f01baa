import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isMqError } from '@popmq/protocol'
import type { OutgoingMessage } from './api/outgoing-message.ts'
import { orders, texts } from './testing/orders.ts'
import { makeWorld } from './testing/world.ts'

void test('a message is stored as it was sent, and the receipt says where', async () => {
  const { cluster, client, until, clock } = await makeWorld()
  cluster.addTopic('orders')
  const receipt = await until(client.producer().send({ topic: 'orders', value: 'hello' }))
  assert.deepEqual(cluster.log('orders').values(), ['hello'])
  const { topic, partition, offset, acks, duplicate } = receipt
  assert.deepEqual(
    { topic, partition, offset, acks, duplicate },
    {
      topic: 'orders',
      partition: 0,
      offset: 0,
      acks: 'disk',
      duplicate: false,
    },
  )
  assert.ok(receipt.appendedAt <= clock.now())
  assert.match(receipt.id, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  assert.equal((JSON.parse(JSON.stringify(receipt)) as { id: string }).id, receipt.id)
})

void test('the default ack level follows the replication of each topic', async () => {
  const { cluster, client, until } = await makeWorld()
  cluster.addTopic('single')
  cluster.addTopic('triple', 1, { replicas: 3 })
  const producer = client.producer()
  const receipts = await until(
    producer.sendBatch([
      { topic: 'single', value: 1 },
      { topic: 'triple', value: 2 },
    ]),
  )
  assert.deepEqual(
    receipts.map(({ acks }) => acks),
    ['disk', 'quorum'],
  )
})

void test('a batch to one partition is one request', async () => {
  const { cluster, client, until } = await makeWorld()
  cluster.addTopic('orders', 4)
  const receipts = await until(client.producer().sendBatch(orders(...texts(1_000))))
  assert.deepEqual(
    receipts.map(({ offset }) => offset),
    texts(1_000).map(Number),
  )
  assert.equal(cluster.count('produce'), 1)
})

void test('messages sent while requests are under way share the next request', async () => {
  const { cluster, client, until } = await makeWorld()
  cluster.addTopic('orders')
  const producer = client.producer()
  await until(producer.send({ topic: 'orders', value: 'first' }))
  cluster.fault = () => ({ kind: 'delay', ms: 10 })
  const before = cluster.count('produce')
  const sends: Promise<unknown>[] = []
  for (const value of texts(100)) {
    sends.push(producer.send({ topic: 'orders', value }))
    await Promise.resolve()
    await Promise.resolve()
  }
  await until(Promise.all(sends))
  assert.deepEqual(cluster.log('orders').values(), ['first', ...texts(100)])
  assert.ok(cluster.count('produce') - before <= 3, `${cluster.count('produce') - before} requests`)
})

void test('lingering gathers messages for the time it was told', async () => {
  const { cluster, client, until, clock } = await makeWorld()
  cluster.addTopic('orders')
  const producer = client.producer({ lingerMs: 50 })
  const first = producer.send({ topic: 'orders', value: 'a' })
  await clock.run(30)
  const second = producer.send({ topic: 'orders', value: 'b' })
  await until(Promise.all([first, second]))
  assert.equal(cluster.count('produce'), 1)
})

void test('partitions without a key take turns, a key and a dedup id keep theirs, a named one is obeyed', async () => {
  const { cluster, client, until } = await makeWorld()
  cluster.addTopic('orders', 4)
  const producer = client.producer()
  const send = async (message: Partial<OutgoingMessage>): Promise<number> => {
    const { partition } = await until(producer.send({ topic: 'orders', value: 'x', ...message }))
    return partition
  }
  const turns = [await send({}), await send({}), await send({}), await send({})]
  assert.deepEqual(
    turns.toSorted((a, b) => a - b),
    [0, 1, 2, 3],
  )
  assert.equal(await send({ key: 'k' }), await send({ key: 'k' }))
  assert.equal(await send({ dedupId: 'd1' }), await send({ dedupId: 'd1' }))
  assert.equal(await send({ partition: 2, key: 'k' }), 2)
})

void test('a topic that does not exist fails at once, and only its messages', async () => {
  const { cluster, client, until, clock } = await makeWorld()
  cluster.addTopic('orders')
  const started = clock.monotonic()
  const results = await until(
    client.producer().sendBatchSettled([
      { topic: 'orders', value: 'a' },
      { topic: 'nowhere', value: 'b' },
      { topic: 'orders', value: 'c' },
    ]),
  )
  assert.deepEqual(
    results.map(({ error }) => error?.name),
    [undefined, 'topic_not_found', undefined],
  )
  assert.deepEqual(cluster.log('orders').values(), ['a', 'c'])
  assert.ok(clock.monotonic() - started < 1_000)
})

void test('what is wrong with a message is told before it is sent, and fails it alone', async () => {
  const { cluster, client, until } = await makeWorld()
  cluster.addTopic('orders', 2, { maxMessageBytes: 10 })
  const wrong = (message: object): OutgoingMessage => ({ topic: 'orders', value: 1, ...message })
  const results = await until(
    client
      .producer()
      .sendBatchSettled([
        wrong({ value: 'x'.repeat(11) }),
        wrong({ partition: 2 }),
        wrong({ key: 'k'.repeat(1_025) }),
        wrong({ priority: 5 }),
        wrong({ topic: 'no such name!' }),
        wrong({ value: undefined }),
        wrong({ value: 'fine' }),
      ]),
  )
  assert.deepEqual(
    results.map(({ error }) => error?.name),
    [
      'message_too_large',
      'partition_not_found',
      'invalid_request',
      'invalid_request',
      'invalid_name',
      'invalid_request',
      undefined,
    ],
  )
  assert.match(results[3]?.error?.message ?? '', /no "priority"/)
})

void test('a batch with failures rejects with how many failed, once all are settled', async () => {
  const { cluster, client, failure } = await makeWorld()
  cluster.addTopic('orders')
  const sent = client.producer().sendBatch([...orders('a', 'b'), { topic: 'nowhere', value: 'c' }])
  const error = await failure(sent)
  assert.ok(isMqError(error, 'topic_not_found'))
  assert.deepEqual(error.facts, { failed: 1, acked: 2 })
})

void test('an empty batch sends nothing', async () => {
  const { cluster, client, until } = await makeWorld()
  assert.deepEqual(await until(client.producer().sendBatch([])), [])
  assert.equal(cluster.count('produce'), 0)
})

void test('dedup ids that were seen are answered with their first receipts', async () => {
  const { cluster, client, until } = await makeWorld()
  cluster.addTopic('orders')
  const send = (dedupId: string) => ({ topic: 'orders', value: dedupId, dedupId })
  const firsts = await until(client.producer().sendBatch([send('a'), send('b')]))
  const again = [...orders('x'), send('a'), ...orders('y'), send('b'), ...orders('z')]
  const receipts = await until(client.producer().sendBatch(again))
  assert.deepEqual(
    receipts.map(({ offset, duplicate }) => [offset, duplicate]),
    [
      [2, false],
      [firsts[0]?.offset, true],
      [3, false],
      [firsts[1]?.offset, true],
      [4, false],
    ],
  )
})

void test('a full request goes out while the rest of the call is still being taken in', async () => {
  const { cluster, client, until } = await makeWorld()
  cluster.addTopic('orders')
  const producer = client.producer({ batchBytes: 4_096 })
  await until(producer.send({ topic: 'orders', value: 'first' }))
  const before = producer.stats().requests
  let atLast = 0
  const last = {
    topic: 'orders',
    get value() {
      atLast = producer.stats().requests
      return 'last'
    },
  }
  const value = 'x'.repeat(1_000)
  const many = Array.from({ length: 9 }, () => ({ topic: 'orders', value }))
  await until(producer.sendBatch([...many, last]))
  assert.equal(atLast, before + 2)
  assert.deepEqual(cluster.log('orders').values().slice(-1), ['last'])
})
