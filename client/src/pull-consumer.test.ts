import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { MessageBatch, PullConsumerOptions } from './api/pull-consumer.ts'
import { fill, take, texts, valuesOf } from './testing/orders.ts'
import { makeWorld } from './testing/world.ts'

void test('messages come as they were sent, in order per partition', async () => {
  const world = await makeWorld()
  const { cluster, client, until, clock } = world
  cluster.addTopic('orders', 2)
  const headers = { a: 'b' }
  await until(
    client.producer().send({
      topic: 'orders',
      value: { n: 1 },
      key: 'k',
      tag: 't',
      headers,
      dedupId: 'd',
      partition: 1,
    }),
  )
  const bytes = Uint8Array.of(1, 2)
  const sent = await until(client.producer().send({ topic: 'orders', value: bytes, partition: 1 }))
  const consumer = client.pullConsumer({ topics: ['orders'] })
  const [first, second] = await take(world, consumer, 2)
  assert.ok(first && second)
  assert.deepEqual(first.value, { n: 1 })
  const { topic, partition, offset, key, tag, dedupId, attempt } = first
  assert.deepEqual(
    [topic, partition, offset, key, tag, dedupId, attempt],
    ['orders', 1, 0, 'k', 't', 'd', 1],
  )
  assert.deepEqual(first.headers, headers)
  assert.deepEqual(second.value, bytes)
  assert.deepEqual([...second.bytes], [1, 2])
  assert.deepEqual(
    [second.id, second.offset, second.appendedAt],
    [sent.id, sent.offset, sent.appendedAt],
  )
  assert.deepEqual([second.key, second.tag, second.headers], [undefined, undefined, {}])
  assert.ok(second.bornAt <= clock.now())
})

void test('a loop gets batches by partition with the offset to read on at, and ends when the consumer is closed', async () => {
  const world = await makeWorld({ brokers: 2 })
  const { cluster, client, until } = world
  cluster.addTopic('orders', 4)
  for (const partition of [0, 1, 2, 3]) await fill(world, texts(5), partition)
  const consumer = client.pullConsumer({ topics: ['orders'] })
  const batches: MessageBatch[] = []
  const loop = (async () => {
    for await (const batch of consumer) {
      batches.push(batch)
      if (batches.flatMap(({ messages }) => messages).length === 20) await consumer.close()
    }
  })()
  await until(loop)
  const groups = batches.flatMap(({ partitions }) => partitions)
  assert.deepEqual(
    groups.map(({ partition }) => partition).toSorted((a, b) => a - b),
    [0, 1, 2, 3],
  )
  for (const { messages, next } of groups) {
    assert.deepEqual(valuesOf(messages), texts(5))
    assert.equal(next, 5)
  }
})

void test('one held request covers all partitions of a broker, and new messages answer it', async () => {
  const world = await makeWorld()
  const { cluster, client, until, clock } = world
  cluster.addTopic('orders', 8)
  const consumer = client.pullConsumer({ topics: ['orders'], waitMs: 30_000 })
  const waiting = consumer.receive({ waitMs: 60_000 })
  await clock.run(10_000)
  assert.equal(cluster.count('fetch'), 1)
  await fill(world, ['1'], 5)
  assert.deepEqual(valuesOf(await until(waiting)), ['1'])
})

void test('nothing within the wait is an empty list', async () => {
  const { cluster, client, until, clock } = await makeWorld()
  cluster.addTopic('orders')
  const consumer = client.pullConsumer({ topics: ['orders'] })
  const started = clock.monotonic()
  assert.deepEqual(await until(consumer.receive({ waitMs: 700 })), [])
  assert.ok(Math.abs(clock.monotonic() - started - 700) < 5)
})

void test('reading starts where it is told: first, behind the last, an offset, a time, offsets by partition', async () => {
  const world = await makeWorld()
  const { cluster, client, until, clock } = world
  cluster.addTopic('orders', 2)
  await fill(world, texts(3))
  await clock.run(1_000)
  const time = new Date(clock.now())
  await fill(world, texts(3, 3))
  const firstOf = async (from: NonNullable<PullConsumerOptions['from']>): Promise<unknown> => {
    const consumer = client.pullConsumer({ partitions: [{ topic: 'orders', partition: 0 }], from })
    const [message] = await until(consumer.receive({ max: 1, waitMs: 1_000 }))
    await until(consumer.close())
    return message?.value
  }
  assert.equal(await firstOf('earliest'), '0')
  assert.equal(await firstOf('latest'), undefined)
  assert.equal(await firstOf(2), '2')
  assert.equal(await firstOf(time), '3')
  assert.equal(await firstOf([{ topic: 'orders', partition: 0, offset: 4 }]), '4')
  assert.equal(await firstOf([{ topic: 'orders', partition: 1, offset: 4 }]), '0')
})
void test('receive gives at most as many as asked, and the rest next time', async () => {
  const world = await makeWorld()
  const { cluster, client, until } = world
  cluster.addTopic('orders')
  await fill(world, texts(10))
  const consumer = client.pullConsumer({ topics: ['orders'] })
  assert.deepEqual(valuesOf(await until(consumer.receive({ max: 3 }))), texts(3))
  assert.equal(consumer.position('orders', 0), 3)
  assert.deepEqual(valuesOf(await until(consumer.receive({ max: 100 }))), texts(7, 3))
  assert.equal(consumer.position('orders', 0), 10)
  assert.deepEqual(consumer.positions(), [
    { topic: 'orders', partition: 0, position: 10, low: 0, high: 10 },
  ])
})

void test('only the tags asked for come, and the position passes by the others', async () => {
  const world = await makeWorld()
  const { cluster, client, until, clock } = world
  cluster.addTopic('orders')
  await fill(world, texts(9))
  const consumer = client.pullConsumer({ topics: ['orders'], tags: ['odd'] })
  assert.deepEqual(valuesOf(await take(world, consumer, 4)), ['1', '3', '5', '7'])
  await clock.run(1_000)
  assert.deepEqual(await until(consumer.receive({ waitMs: 10 })), [])
  assert.equal(consumer.position('orders', 0), 9)
})

void test('records that a reply repeats or that lie before the offset asked for are dropped', async () => {
  const world = await makeWorld()
  const { cluster, client } = world
  cluster.addTopic('orders')
  await fill(world, texts(4))
  const { records } = cluster.log('orders')
  const [first, second] = records
  assert.ok(first && second)
  records.splice(2, 0, second, first)
  const consumer = client.pullConsumer({ topics: ['orders'], from: 1 })
  const messages = await take(world, consumer, 3)
  assert.deepEqual(
    messages.map(({ offset }) => offset),
    [1, 2, 3],
  )
})

void test('fetching ahead stops at its bound and goes on when messages are taken', async () => {
  const world = await makeWorld()
  const { cluster, client, until, clock } = world
  cluster.addTopic('orders')
  await fill(world, texts(100))
  const size = cluster.log('orders').records[0]?.length ?? 0
  const consumer = client.pullConsumer({
    topics: ['orders'],
    maxBytes: size * 10,
    prefetchBytes: size * 25,
  })
  await until(consumer.receive({ max: 1 }))
  await clock.run(1_000)
  const before = cluster.count('fetch')
  assert.ok(before >= 2 && before <= 4, `${before} requests`)
  assert.deepEqual(valuesOf(await take(world, consumer, 99)), texts(99, 1))
  await until(consumer.close())
  await clock.run(1_000)
  const idle = client.pullConsumer({ topics: ['orders'], prefetchBytes: 0 })
  const fetches = cluster.count('fetch')
  await clock.run(1_000)
  assert.equal(cluster.count('fetch') - fetches, 0)
  assert.deepEqual(valuesOf(await take(world, idle, 100)), texts(100))
})

void test('options that contradict are refused by name', async () => {
  const { client } = await makeWorld()
  const wrong = (options: object): void => {
    assert.throws(
      () => client.pullConsumer(options),
      { name: 'invalid_request' },
      JSON.stringify(options),
    )
  }
  wrong({})
  wrong({ topics: ['a'], partitions: [] })
  wrong({ topics: ['a'], from: -1 })
  wrong({ topics: ['a'], from: new Date(Number.NaN) })
  wrong({ topics: ['a'], from: [{ topic: 'a', partition: 0 }] })
  wrong({ topics: ['a'], tags: [] })
  wrong({ group: 'g' })
  wrong({ topics: ['a'], onOutOfRange: 'jump' })
  wrong({ topics: ['a'], waitMs: 60_001 })
  assert.throws(() => client.pullConsumer({ topics: ['no such name'] }), { name: 'invalid_name' })
})
