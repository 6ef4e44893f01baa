import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isMqError, MqError } from '@popmq/protocol'
import type { Message } from './api/message.ts'
import type { Jump, MessageBatch, PullConsumer } from './api/pull-consumer.ts'
import { makeWorld, type World } from './testing/world.ts'

const texts = (count: number, from = 0): string[] =>
  Array.from({ length: count }, (_, index) => String(from + index))

async function fill({ client, until }: World, values: readonly string[], partition = 0): Promise<void> {
  const messages = values.map((value) => ({ topic: 'orders', value, partition, key: `k${value}`, tag: Number(value) % 2 === 0 ? 'even' : 'odd' }))
  await until(client.producer().sendBatch(messages))
}

const valuesOf = (messages: readonly Message[]): unknown[] => messages.map(({ value }) => value)

/** Receives until `count` messages came. */
async function take(world: World, consumer: PullConsumer, count: number): Promise<Message[]> {
  const all: Message[] = []
  while (all.length < count) all.push(...(await world.until(consumer.receive({ max: count - all.length }))))
  return all
}

void test('messages come as they were sent, in order per partition', async () => {
  const world = await makeWorld()
  const { cluster, client, until, clock } = world
  cluster.addTopic('orders', 2)
  const headers = { a: 'b' }
  await until(client.producer().send({ topic: 'orders', value: { n: 1 }, key: 'k', tag: 't', headers, dedupId: 'd', partition: 1 }))
  const bytes = Uint8Array.of(1, 2)
  const sent = await until(client.producer().send({ topic: 'orders', value: bytes, partition: 1 }))
  const consumer = client.pullConsumer({ topics: ['orders'] })
  const [first, second] = await take(world, consumer, 2)
  assert.ok(first && second)
  assert.deepEqual(first.value, { n: 1 })
  const { topic, partition, offset, key, tag, dedupId, attempt } = first
  assert.deepEqual([topic, partition, offset, key, tag, dedupId, attempt], ['orders', 1, 0, 'k', 't', 'd', 1])
  assert.deepEqual(first.headers, headers)
  assert.deepEqual(second.value, bytes)
  assert.deepEqual([...second.bytes], [1, 2])
  assert.deepEqual([second.id, second.offset, second.appendedAt], [sent.id, sent.offset, sent.appendedAt])
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
  assert.deepEqual(groups.map(({ partition }) => partition).toSorted(), [0, 1, 2, 3])
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
  const firstOf = async (from: PullConsumerFrom): Promise<unknown> => {
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
type PullConsumerFrom = NonNullable<Parameters<World['client']['pullConsumer']>[0]['from']>

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
  assert.deepEqual(consumer.positions(), [{ topic: 'orders', partition: 0, position: 10, low: 0, high: 10 }])
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
  for (const [onOutOfRange, to] of [['earliest', 4], ['latest', 10]] as const) {
    const world = await makeWorld()
    const { cluster, client, until } = world
    cluster.addTopic('orders')
    await fill(world, texts(10))
    cluster.log('orders').dropOldest(4)
    const jumps: Jump[] = []
    const consumer = client.pullConsumer({ topics: ['orders'], from: 2, onOutOfRange, onJump: (jump) => jumps.push(jump) })
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
  assert.deepEqual(messages.map(({ offset }) => offset), [1, 2, 3])
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
  await assert.rejects(consumer.seek({ topic: 'orders', partition: 9 }, 0), { name: 'invalid_request' })
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
  const others = await take(world, consumer, 3)
  assert.ok(others.every(({ partition }) => partition === 1))
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

void test('fetching ahead stops at its bound and goes on when messages are taken', async () => {
  const world = await makeWorld()
  const { cluster, client, until, clock } = world
  cluster.addTopic('orders')
  await fill(world, texts(100))
  const size = cluster.log('orders').records[0]?.length ?? 0
  const consumer = client.pullConsumer({ topics: ['orders'], maxBytes: size * 10, prefetchBytes: size * 25 })
  await until(consumer.receive({ max: 1 }))
  await clock.run(1_000)
  const before = cluster.count('fetch')
  assert.ok(before >= 2 && before <= 4, `${before} requests`)
  assert.deepEqual(valuesOf(await take(world, consumer, 99)), texts(99, 1))
  const idle = client.pullConsumer({ topics: ['orders'], prefetchBytes: 0 })
  const fetches = cluster.count('fetch')
  await clock.run(1_000)
  assert.equal(cluster.count('fetch') - fetches, 0)
  assert.deepEqual(valuesOf(await take(world, idle, 100)), texts(100))
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
  const { cluster, client, failure, clock } = await makeWorld()
  cluster.addTopic('orders')
  const consumer = client.pullConsumer({ topics: ['orders'] })
  const waiting = failure(consumer.receive())
  await clock.run(10)
  await client.close()
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
  assert.deepEqual(valuesOf(await until(client.pullConsumer({ topics: ['orders'] }).receive())), ['1'])
  cluster.fault = ({ name }) =>
    name === 'fetch' ? { kind: 'refuse', error: new MqError('damaged_log', 'rot') } : undefined
  const error = await failure(client.pullConsumer({ topics: ['orders'] }).receive())
  assert.equal(error.name, 'damaged_log')
})

void test('options that contradict are refused by name', async () => {
  const { client } = await makeWorld()
  const wrong = (options: object): void => {
    assert.throws(() => client.pullConsumer(options), { name: 'invalid_request' }, JSON.stringify(options))
  }
  wrong({})
  wrong({ topics: ['a'], partitions: [] })
  wrong({ topics: ['a'], from: -1 })
  wrong({ topics: ['a'], from: new Date(Number.NaN) })
  wrong({ topics: ['a'], from: [{ topic: 'a', partition: 0 }] })
  wrong({ topics: ['a'], tags: [] })
  wrong({ topics: ['a'], group: 'g' })
  wrong({ topics: ['a'], onOutOfRange: 'jump' })
  wrong({ topics: ['a'], waitMs: 60_001 })
  assert.throws(() => client.pullConsumer({ topics: ['no such name'] }), { name: 'invalid_name' })
})
