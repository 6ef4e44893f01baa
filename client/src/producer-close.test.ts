import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { OutgoingMessage } from './api/outgoing-message.ts'
import { orders, texts } from './testing/orders.ts'
import { makeWorld } from './testing/world.ts'

void test('the buffer bounds what is not settled: send waits in order, or is refused', async () => {
  const { cluster, client, until, clock } = await makeWorld()
  cluster.addTopic('orders')
  cluster.fault = () => ({ kind: 'delay', ms: 100 })
  const value = new Uint8Array(30_000)
  const producer = client.producer({ bufferBytes: 65_536 })
  const sends = texts(10).map((key) => producer.send({ topic: 'orders', key, value }))
  await clock.run(50)
  assert.ok(producer.stats().bufferedBytes <= 65_536)
  const receipts = await until(Promise.all(sends))
  assert.deepEqual(
    receipts.map(({ offset }) => offset),
    texts(10).map(Number),
  )
  assert.equal(producer.stats().bufferedBytes, 0)
  const strict = client.producer({ bufferBytes: 65_536, onFull: 'reject' })
  const results = await until(
    strict.sendBatchSettled(texts(3).map(() => ({ topic: 'orders', value }))),
  )
  assert.deepEqual(
    results.map(({ error }) => error?.name),
    [undefined, undefined, 'buffer_full'],
  )
})

void test('an abort ends the wait: what waits for room is not sent, what has room is', async () => {
  const { cluster, client, until, failure, clock } = await makeWorld()
  cluster.addTopic('orders')
  cluster.fault = ({ name }) => (name === 'produce' ? { kind: 'delay', ms: 100 } : undefined)
  const producer = client.producer({ bufferBytes: 65_536 })
  const abort = new AbortController()
  const big = (): OutgoingMessage => ({ topic: 'orders', value: new Uint8Array(60_000) })
  const inside = failure(producer.send(big(), { signal: abort.signal }))
  const outside = failure(producer.send(big(), { signal: abort.signal }))
  await clock.run(50)
  abort.abort()
  assert.equal((await inside).name, 'aborted')
  assert.equal((await outside).name, 'aborted')
  await until(producer.flush())
  assert.equal(cluster.log('orders').high, 1)
  assert.equal((await failure(producer.send(big(), { signal: abort.signal }))).name, 'aborted')
})

void test('a posted message is sent, and one that fails is told to the hook', async () => {
  const { cluster, client, until, clock } = await makeWorld()
  cluster.addTopic('orders')
  const failed: [string, string][] = []
  const producer = client.producer({
    onError: (error, { topic }) => failed.push([error.name, topic]),
  })
  producer.post({ topic: 'orders', value: 'a' })
  producer.post({ topic: 'nowhere', value: 'b' })
  await until(producer.flush())
  await until(producer.close())
  producer.post({ topic: 'orders', value: 'c' })
  await clock.run(1)
  assert.deepEqual(cluster.log('orders').values(), ['a'])
  assert.deepEqual(failed, [
    ['topic_not_found', 'nowhere'],
    ['closed', 'orders'],
  ])
})

void test('closing sends what is there, then refuses', async () => {
  const { cluster, client, until, failure } = await makeWorld()
  cluster.addTopic('orders')
  const producer = client.producer({ lingerMs: 1_000 })
  const sent = producer.sendBatch(orders('a', 'b'))
  await until(client.close())
  assert.equal((await sent).length, 2)
  assert.equal((await failure(producer.send({ topic: 'orders', value: 'c' }))).name, 'closed')
  await until(client.close())
})

void test('closing ends what cannot be sent in time', async () => {
  const { cluster, client, until, clock } = await makeWorld()
  cluster.addTopic('orders')
  cluster.fault = ({ name }) => (name === 'produce' ? { kind: 'swallow' } : undefined)
  const producer = client.producer()
  const sent = producer.sendBatchSettled([...orders('a'), { topic: 'orders', value: 'b' }])
  const started = clock.monotonic()
  await until(producer.close({ withinMs: 3_000 }))
  assert.ok(clock.monotonic() - started <= 3_100)
  const results = await sent
  assert.deepEqual(
    results.map(({ error }) => error?.name),
    ['outcome_unknown', 'outcome_unknown'],
  )
})

void test('an option out of its range, or unknown, is refused by name', async () => {
  const { client } = await makeWorld()
  assert.throws(
    () => client.producer({ lingerMs: -1 }),
    /lingerMs must be a whole number from 0 to 1000/,
  )
  assert.throws(
    () => client.producer(JSON.parse('{"lingerms":1}') as object),
    /did you mean lingerMs/,
  )
  assert.throws(
    () => client.producer(JSON.parse('{"acks":"all"}') as object),
    /acks must be one of/,
  )
})
