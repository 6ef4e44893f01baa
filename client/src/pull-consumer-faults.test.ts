import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isMqError, MqError } from '@popmq/protocol'
import type { Jump } from './api/pull-consumer.ts'
import { fill, take, texts, valuesOf } from './testing/orders.ts'
import { makeWorld } from './testing/world.ts'

void test('an offset that is not kept fails with the bounds, each time, until a seek', async () => {
  const world = await makeWorld()
  const { cluster, client, until, failure } = world
  cluster.addTopic('orders')
  await fill(world, texts(10))
  cluster.log('orders').dropOldest(4)
  const consumer = client.pullConsumer({ topics: ['orders'], from: 2 })
  for (const _ of [1, 2]) {
    const error = await failure(consumer.receive())
    assert.ok(isMqError(error, 'offset_out_of_range'))
    assert.deepEqual([error.facts['low'], error.facts['high'], error.facts['offset']], [4, 10, 2])
  }
  assert.equal(await until(consumer.seek({ topic: 'orders', partition: 0 }, 4)), 4)
  assert.deepEqual(valuesOf(await take(world, consumer, 6)), texts(6, 4))
})

void test('by policy reading goes on elsewhere, and says so', async () => {
  for (const [onOutOfRange, to] of [
    ['earliest', 4],
    ['latest', 10],
  ] as const) {
    const world = await makeWorld()
    const { cluster, client, until } = world
    cluster.addTopic('orders')
    await fill(world, texts(10))
    cluster.log('orders').dropOldest(4)
    const jumps: Jump[] = []
    const consumer = client.pullConsumer({
      topics: ['orders'],
      from: 2,
      onOutOfRange,
      onJump: (jump) => jumps.push(jump),
    })
    const received = consumer.receive({ waitMs: 2_000 })
    const messages = await until(received)
    assert.deepEqual(valuesOf(messages), onOutOfRange === 'earliest' ? texts(6, 4) : [])
    assert.deepEqual(jumps, [{ topic: 'orders', partition: 0, from: 2, to, low: 4, high: 10 }])
  }
})

void test('a corrupt record is named; those before it come first, and a seek passes by it', async () => {
  const world = await makeWorld()
  const { cluster, client, until, failure } = world
  cluster.addTopic('orders')
  await fill(world, texts(5))
  const record = cluster.log('orders').records[2]
  assert.ok(record)
  record[record.length - 1] = (record.at(-1) ?? 0) ^ 1
  const consumer = client.pullConsumer({ topics: ['orders'] })
  assert.deepEqual(valuesOf(await until(consumer.receive())), texts(2))
  const error = await failure(consumer.receive())
  assert.ok(isMqError(error, 'corrupt_record'))
  assert.deepEqual(error.facts, { topic: 'orders', partition: 0, offset: 2 })
  assert.equal(consumer.position('orders', 0), 2)
  await until(consumer.seek({ topic: 'orders', partition: 0 }, 3))
  assert.deepEqual(valuesOf(await take(world, consumer, 2)), ['3', '4'])
})

void test('a change in the words that the broker wrote is seen too', async () => {
  const world = await makeWorld()
  const { cluster, client, failure } = world
  cluster.addTopic('orders')
  await fill(world, texts(1))
  const record = cluster.log('orders').records[0]
  assert.ok(record)
  record[32] = (record[32] ?? 0) ^ 1
  const error = await failure(client.pullConsumer({ topics: ['orders'] }).receive())
  assert.equal(error.name, 'corrupt_record')
})

void test('a seek drops what was fetched ahead and the answer under way', async () => {
  const world = await makeWorld()
  const { cluster, client, until, clock } = world
  cluster.addTopic('orders')
  await fill(world, texts(10))
  const consumer = client.pullConsumer({ topics: ['orders'] })
  await until(consumer.receive({ max: 2 }))
  cluster.fault = ({ name }) => (name === 'fetch' ? { kind: 'delay', ms: 500 } : undefined)
  const at = { topic: 'orders', partition: 0 }
  assert.equal(await until(consumer.seek(at, 7)), 7)
  await clock.run(100)
  assert.equal(await until(consumer.seek(at, 'earliest')), 0)
  assert.deepEqual(valuesOf(await take(world, consumer, 10)), texts(10))
  assert.equal(await until(consumer.seek(at, 'latest')), 10)
  assert.equal(consumer.position('orders', 0), 10)
  await assert.rejects(consumer.seek({ topic: 'orders', partition: 9 }, 0), {
    name: 'invalid_request',
  })
  await assert.rejects(consumer.seek(at, -1), { name: 'invalid_request' })
})

void test('a paused partition delivers nothing, and what it held when it is resumed', async () => {
  const world = await makeWorld()
  const { cluster, client, until } = world
  cluster.addTopic('orders', 2)
  await fill(world, texts(3), 0)
  await fill(world, texts(3, 100), 1)
  const consumer = client.pullConsumer({ topics: ['orders'] })
  await until(consumer.receive({ max: 1 }))
  const at = [{ topic: 'orders', partition: 0 }]
  consumer.pause(at)
  const others = await until(consumer.receive())
  assert.deepEqual(valuesOf(others), texts(3, 100))
  assert.deepEqual(await until(consumer.receive({ waitMs: 100 })), [])
  const waiting = consumer.receive()
  consumer.resume(at)
  const held = await until(waiting)
  assert.ok(held.length > 0 && held.every(({ partition }) => partition === 0))
})

void test('a consumer follows its partitions to another broker, through lost connections', async () => {
  const world = await makeWorld({ brokers: 2 })
  const { cluster, client, until, clock } = world
  cluster.addTopic('orders')
  await fill(world, texts(2))
  const consumer = client.pullConsumer({ topics: ['orders'] })
  assert.equal((await take(world, consumer, 2)).length, 2)
  const waiting = take(world, consumer, 2)
  await clock.run(100)
  cluster.move(1, 2)
  cluster.disconnect(1)
  await fill(world, texts(2, 2))
  assert.deepEqual(valuesOf(await until(waiting)), ['2', '3'])
})

void test('a topic that is missing or deleted, and a partition that is missing, are errors', async () => {
  const { cluster, client, until, failure } = await makeWorld()
  cluster.addTopic('orders')
  const missing = client.pullConsumer({ topics: ['orders', 'nowhere'] })
  assert.equal((await failure(missing.receive())).name, 'topic_not_found')
  const partition = client.pullConsumer({ partitions: [{ topic: 'orders', partition: 3 }] })
  assert.equal((await failure(partition.receive())).name, 'partition_not_found')
  const consumer = client.pullConsumer({ topics: ['orders'], waitMs: 1_000 })
  await until(consumer.receive({ waitMs: 100 }))
  cluster.topics.delete('orders')
  assert.equal((await failure(consumer.receive({ waitMs: 60_000 }))).name, 'topic_not_found')
})

void test('partitions added later are read from their first message', async () => {
  const world = await makeWorld()
  const { cluster, client, until, clock } = world
  cluster.addTopic('orders', 1)
  const consumer = client.pullConsumer({ topics: ['orders'], from: 'latest' })
  await until(consumer.receive({ waitMs: 10 }))
  cluster.growTopic('orders', 2)
  const waiting = consumer.receive({ waitMs: 60_000 })
  await clock.run(31_000)
  await fill(world, ['7'], 1)
  assert.deepEqual(valuesOf(await until(waiting)), ['7'])
})

void test('an abort ends a wait and loses no message', async () => {
  const world = await makeWorld()
  const { cluster, client, until, failure, clock } = world
  cluster.addTopic('orders')
  const consumer = client.pullConsumer({ topics: ['orders'] })
  const abort = new AbortController()
  const waiting = failure(consumer.receive({ signal: abort.signal }))
  await clock.run(100)
  abort.abort()
  assert.equal((await waiting).name, 'aborted')
  await fill(world, ['1'])
  assert.deepEqual(valuesOf(await until(consumer.receive())), ['1'])
  const ended: unknown[] = []
  for await (const batch of consumer.batches({ signal: abort.signal })) ended.push(batch)
  assert.deepEqual(ended, [])
})

void test('closing ends a waiting receive, and later ones', async () => {
  const { cluster, client, until, failure, clock } = await makeWorld()
  cluster.addTopic('orders')
  const consumer = client.pullConsumer({ topics: ['orders'] })
  const waiting = failure(consumer.receive())
  await clock.run(10)
  await until(client.close())
  assert.equal((await waiting).name, 'closed')
  assert.equal((await failure(consumer.receive())).name, 'closed')
  assert.equal((await failure(consumer.seek({ topic: 'orders', partition: 0 }, 0))).name, 'closed')
})

void test('a refusal that may pass is waited for, another one is told', async () => {
  const world = await makeWorld()
  const { cluster, client, until, failure } = world
  cluster.addTopic('orders')
  await fill(world, ['1'])
  const busy = [new MqError('broker_busy', 'busy'), new MqError('shutting_down', 'stopping')]
  cluster.fault = ({ name }) => {
    const error = name === 'fetch' ? busy.shift() : undefined
    return error === undefined ? undefined : { kind: 'refuse', error }
  }
  assert.deepEqual(valuesOf(await until(client.pullConsumer({ topics: ['orders'] }).receive())), [
    '1',
  ])
  cluster.fault = ({ name }) =>
    name === 'fetch' ? { kind: 'refuse', error: new MqError('damaged_log', 'rot') } : undefined
  const error = await failure(client.pullConsumer({ topics: ['orders'] }).receive())
  assert.equal(error.name, 'damaged_log')
})

void test('held requests whose answers are void do not keep others from being made', async () => {
  const world = await makeWorld()
  const { cluster, client, until, clock } = world
  cluster.addTopic('orders')
  const consumer = client.pullConsumer({ topics: ['orders'], waitMs: 30_000 })
  await until(consumer.receive({ waitMs: 10 }))
  for (let seeks = 0; seeks < 12; seeks += 1) {
    await until(consumer.seek({ topic: 'orders', partition: 0 }, 0))
    await clock.run(10)
  }
  assert.equal(cluster.count('fetch'), 13)
  await fill(world, ['1'])
  assert.deepEqual(valuesOf(await until(consumer.receive({ waitMs: 1_000 }))), ['1'])
})
