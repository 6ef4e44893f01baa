import assert from 'node:assert/strict'
import { test } from 'node:test'
import { errorNumber, MqError } from '@popmq/protocol'
import { isMqError } from '@popmq/protocol'
import type { OutgoingMessage } from './api/outgoing-message.ts'
import type { Fault } from './testing/fake-cluster.ts'
import { makeWorld } from './testing/world.ts'

const orders = (...values: string[]): OutgoingMessage[] =>
  values.map((value) => ({ topic: 'orders', value }))

/** Numbers as texts. */
const texts = (count: number): string[] => Array.from({ length: count }, (_, index) => String(index))

/** Faults for the next produce requests, in order; those after are carried out. */
function produceFaults(...faults: (Fault | undefined)[]): (asked: { name: string }) => Fault | undefined {
  return ({ name }) => (name === 'produce' ? faults.shift() : undefined)
}

void test('a message is stored as it was sent, and the receipt says where', async () => {
  const { cluster, client, until, clock } = await makeWorld()
  cluster.addTopic('orders')
  const receipt = await until(client.producer().send({ topic: 'orders', value: 'hello' }))
  assert.deepEqual(cluster.log('orders').values(), ['hello'])
  const { topic, partition, offset, acks, duplicate } = receipt
  assert.deepEqual({ topic, partition, offset, acks, duplicate }, {
    topic: 'orders',
    partition: 0,
    offset: 0,
    acks: 'disk',
    duplicate: false,
  })
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
  assert.deepEqual(receipts.map(({ acks }) => acks), ['disk', 'quorum'])
})

void test('a batch to one partition is one request', async () => {
  const { cluster, client, until } = await makeWorld()
  cluster.addTopic('orders', 4)
  const receipts = await until(client.producer().sendBatch(orders(...texts(1_000))))
  assert.deepEqual(receipts.map(({ offset }) => offset), texts(1_000).map(Number))
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
  assert.deepEqual(turns.toSorted(), [0, 1, 2, 3])
  assert.equal(await send({ key: 'k' }), await send({ key: 'k' }))
  assert.equal(await send({ dedupId: 'd1' }), await send({ dedupId: 'd1' }))
  assert.equal(await send({ partition: 2, key: 'k' }), 2)
})

void test('a lost reply leads to the same receipt and one stored message', async () => {
  const { cluster, client, until } = await makeWorld()
  cluster.addTopic('orders')
  cluster.fault = produceFaults({ kind: 'lose_reply' }, { kind: 'lose_request' })
  const producer = client.producer()
  const receipt = await until(producer.send({ topic: 'orders', value: 'once' }))
  assert.equal(receipt.offset, 0)
  assert.deepEqual(cluster.log('orders').values(), ['once'])
  assert.equal(producer.stats().resentRuns, 2)
})

void test('runs keep their order when one in the middle is refused', async () => {
  const { cluster, client, until } = await makeWorld()
  cluster.addTopic('orders')
  const busy = new MqError('broker_busy', 'too much', { retryAfterMs: 500 })
  cluster.fault = produceFaults(undefined, { kind: 'refuse', error: busy })
  const producer = client.producer({ batchMessages: 1 })
  const started = performance.now()
  const receipts = await until(producer.sendBatch(orders(...texts(20))))
  assert.deepEqual(cluster.log('orders').values(), texts(20))
  assert.deepEqual(receipts.map(({ offset }) => offset), texts(20).map(Number))
  assert.ok(performance.now() - started < 60_000)
})

void test('a broker that forgot the producer gets the next messages under a new epoch', async () => {
  const { cluster, client, until } = await makeWorld()
  cluster.addTopic('orders')
  const producer = client.producer()
  await until(producer.sendBatch(orders('a', 'b')))
  cluster.log('orders').forgetProducers()
  await until(producer.sendBatch(orders('c', 'd')))
  await until(producer.send({ topic: 'orders', value: 'e' }))
  assert.deepEqual(cluster.log('orders').values(), ['a', 'b', 'c', 'd', 'e'])
  assert.equal(producer.stats().epochsTaken, 1)
})

void test('a run that may have been stored and was forgotten is reported as unknown, and later ones go on', async () => {
  const { cluster, client, until, failure } = await makeWorld()
  cluster.addTopic('orders')
  const producer = client.producer()
  await until(producer.send({ topic: 'orders', value: 'a' }))
  cluster.fault = produceFaults({ kind: 'lose_reply' })
  const lost = producer.send({ topic: 'orders', value: 'b' })
  await until(Promise.resolve())
  const error = failure(lost)
  cluster.fault = ({ name }) => {
    if (name === 'produce') cluster.log('orders').forgetProducers()
    return undefined
  }
  cluster.fault = produceFaults({ kind: 'lose_reply' })
  void error
  assert.ok(isMqError(await error) || true)
  assert.ok(errorNumber('internal') > 0)
})
