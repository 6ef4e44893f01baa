import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MqError } from '@popmq/protocol'
import type { GroupBatch, GroupConsumer } from './api/group-consumer.ts'
import type { Message } from './api/message.ts'
import { FakeRetries } from './testing/fake-retries.ts'
import { fill, take, texts, valuesOf } from './testing/orders.ts'
import { makeWorld, type World } from './testing/world.ts'

const options = { group: 'g', topics: ['orders'] }

interface RetryWorld extends World {
  readonly retries: FakeRetries
  readonly topicId: number
}

async function setUp(messages = 3, brokers = 1): Promise<RetryWorld> {
  const world = await makeWorld({ brokers })
  const retries = new FakeRetries(world.clock)
  world.cluster.parts.push(retries)
  const { id: topicId } = world.cluster.addTopic('orders', brokers)
  if (messages > 0) await fill(world, texts(messages))
  return { ...world, retries, topicId }
}

/** The batches of a loop, one at a time: asking for the next handles the one before. */
function reader(consumer: GroupConsumer): () => Promise<GroupBatch> {
  const batches = consumer[Symbol.asyncIterator]()
  return async () => {
    const { value } = await batches.next()
    if (value === undefined) throw new MqError('closed', 'the loop ended')
    return value
  }
}

/** It waits until the consumer is closed, or is answered. */
function endsByClose(waiting: Promise<unknown>): void {
  waiting.catch((error: Error) => assert.equal(error.name, 'closed'))
}

void test('a message that failed is set aside under the grant, comes again by itself, and is acked when more is asked for', async () => {
  const world = await setUp()
  const { client, until, clock, retries, cluster } = world
  const consumer = client.pullConsumer(options)
  const next = reader(consumer)
  const batch = await until(next())
  assert.deepEqual(valuesOf(batch.messages), texts(3))
  const failed = batch.messages[1]
  assert.ok(failed)
  const error = new TypeError(`no ${'x'.repeat(10_000)}`)
  assert.equal(await until(consumer.retry(failed, { error, delayMs: 5_000 })), 'retrying')
  const [aside] = retries.asides
  assert.ok(aside)
  assert.deepEqual([aside.offsets, aside.delayMs, aside.error?.type], [[1], 5_000, 'TypeError'])
  assert.ok(aside.error?.message?.endsWith('…') && aside.error.message.length < 8_193)
  const [granted] = cluster.groups.group('g').members.get('m1')?.grants ?? []
  assert.equal(aside.epoch, granted?.epoch)
  const again = await until(next())
  const [message] = again.messages
  assert.ok(message)
  const { topic, partition, offset, attempt, value, appendedAt } = message
  assert.deepEqual([topic, partition, offset, attempt, value], ['orders', 0, 1, 2, 'again 1'])
  assert.equal(appendedAt, 77)
  assert.equal(again.messages.length, 1)
  assert.deepEqual(again.partitions, [{ topic, partition, messages: again.messages, next: -1 }])
  // The rest of its batch is handled, and committed beyond it.
  await clock.run(2_000)
  assert.deepEqual([...cluster.groups.group('g').progress.values()], [3])
  assert.deepEqual(retries.acts, [])
  endsByClose(next())
  await clock.run(1_000)
  assert.deepEqual(
    retries.acts.map(({ verb, result }) => [verb, result]),
    [['ack', 'acked']],
  )
  await until(client.close())
})

void test('a lease is extended as long as its message is in hand', async () => {
  const { client, until, clock, retries, topicId } = await setUp(0)
  retries.add({ topicId, partition: 0, offset: 7 })
  const consumer = client.pullConsumer(options)
  const next = reader(consumer)
  await until(next())
  await clock.run(100_000)
  const extensions = retries.acts.length
  assert.ok(extensions >= 6 && retries.acts.every(({ result }) => result === 'extended'))
  endsByClose(next())
  await clock.run(100_000)
  assert.equal(retries.acts.length, extensions + 1)
  assert.equal(retries.acts.at(-1)?.result, 'acked')
  await until(client.close())
})

void test('a retried message that fails again is given back, and not acked', async () => {
  const { client, until, clock, retries, topicId } = await setUp(0)
  const [first, second] = [7, 8].map((offset) => retries.add({ topicId, partition: 0, offset }))
  const consumer = client.pullConsumer(options)
  const messages = await until(consumer.receive())
  const [failed, done] = messages
  assert.ok(failed && done)
  const given = consumer.retry([failed], { delayMs: 60_000 })
  // Decided already, however long the broker takes: more is asked for at once.
  endsByClose(consumer.receive())
  assert.deepEqual(await until(given), ['retrying'])
  await clock.run(1_000)
  assert.deepEqual(retries.acts, [
    { verb: 'nack', number: first, result: 'retrying' },
    { verb: 'ack', number: second, result: 'acked' },
  ])
  // Whoever is late is told so.
  assert.equal(await until(consumer.retry(done)), 'already')
  await until(client.close())
})

void test('with manual commits retried messages are acked by the commit of their batch, or of all', async () => {
  const { client, until, clock, retries, topicId, failure } = await setUp(0)
  const numbers = [1, 2].map((offset) => retries.add({ topicId, partition: 0, offset }))
  const consumer = client.pullConsumer({ ...options, commit: 'manual' })
  const next = reader(consumer)
  const batch = await until(next())
  await until(batch.commit())
  assert.deepEqual(
    retries.acts.map(({ verb, number }) => [verb, number]),
    numbers.map((number) => ['ack', number]),
  )
  await until(batch.commit())
  assert.equal(retries.acts.length, 2)
  retries.add({ topicId, partition: 0, offset: 3 })
  await until(next())
  endsByClose(next())
  await clock.run(5_000)
  assert.equal(retries.acts.length, 2)
  await until(consumer.commit())
  assert.equal(retries.acts.at(-1)?.result, 'acked')
  // One that was taken away meanwhile is not acked, and that is told.
  const lost = retries.add({ topicId, partition: 0, offset: 4 })
  const other = client.pullConsumer({ ...options, commit: 'manual' })
  await clock.run(1_000)
  const retry = retries.retries.get(lost)
  assert.ok(retry)
  retry.nonce = 99
  assert.equal((await failure(consumer.commit())).name, 'grant_fenced')
  await until(other.close())
  await until(client.close())
})

void test('a consumer that closes gives back what was not delivered, and leaves what was to its lease', async () => {
  const { client, until, clock, retries, topicId } = await setUp(0)
  const delivered = retries.add({ topicId, partition: 0, offset: 1 })
  const consumer = client.pullConsumer(options)
  await until(consumer.receive())
  const waiting = retries.add({ topicId, partition: 0, offset: 2 })
  await clock.run(500)
  assert.ok((retries.retries.get(waiting)?.leasedUntil ?? 0) > 0)
  await until(consumer.close())
  assert.deepEqual(retries.acts, [{ verb: 'release', number: waiting, result: 'released' }])
  assert.ok((retries.retries.get(delivered)?.leasedUntil ?? 0) > 0)
  const pops = retries.pops.length
  await clock.run(120_000)
  assert.equal(retries.pops.length, pops)
})

void test('a loop that ends by itself while the consumer closes has its last retries acked', async () => {
  const { client, until, clock, retries, topicId } = await setUp(0)
  retries.add({ topicId, partition: 0, offset: 1 })
  const consumer = client.pullConsumer(options)
  let closing: Promise<void> | undefined
  for await (const batch of inWorld(consumer, until)) {
    assert.equal(batch.messages.length, 1)
    closing ??= consumer.close()
    await clock.run(2_000)
  }
  await until(closing ?? Promise.resolve())
  assert.equal(retries.acts.at(-1)?.result, 'acked')
})

async function* inWorld(
  consumer: GroupConsumer,
  until: World['until'],
): AsyncGenerator<GroupBatch> {
  const batches = consumer[Symbol.asyncIterator]()
  for (;;) {
    const { done, value } = await until(batches.next())
    if (done === true) return
    yield value
  }
}

void test('a member pops retries while it has something assigned, and only then', async () => {
  const { client, until, clock, retries, topicId } = await setUp(0)
  const first = client.pullConsumer(options)
  endsByClose(first.receive())
  await clock.run(1_000)
  assert.equal(retries.pops.length, 1)
  assert.ok(retries.pops.every(({ retriesOnly }) => retriesOnly === true))
  // The one partition is the first member's: the second has none.
  const second = client.pullConsumer(options)
  endsByClose(second.receive({ waitMs: 400_000 }))
  await clock.run(200_000)
  // Held for a minute each.
  assert.ok(retries.pops.length <= 5, `${retries.pops.length} pops`)
  const seen: Message[] = []
  const reading = (async () => {
    for (;;) seen.push(...(await first.receive({ waitMs: 300_000 })))
  })()
  endsByClose(reading)
  for (let offset = 0; offset < 5; offset += 1) retries.add({ topicId, partition: 0, offset })
  await clock.run(10_000)
  assert.equal(seen.length, 5)
  await until(client.close())
})

void test('messages and retries are delivered in turn', async () => {
  const world = await setUp(2)
  const { client, until, clock, retries, topicId } = world
  const consumer = client.pullConsumer({ ...options, prefetchBytes: 1 })
  const seen = valuesOf(await take(world, consumer, 2))
  retries.add({ topicId, partition: 0, offset: 0 })
  retries.add({ topicId, partition: 0, offset: 1 })
  await fill(world, texts(2, 2))
  await clock.run(1_000)
  for (let turn = 0; turn < 4; turn += 1) {
    seen.push(...valuesOf(await until(consumer.receive({ max: 1 }))))
    await clock.run(100)
  }
  assert.deepEqual(seen, ['0', '1', 'again 0', '2', 'again 1', '3'])
  await until(client.close())
})

void test('a member that wants no retries pops none, and may set messages aside', async () => {
  const { client, until, clock, retries } = await setUp()
  const consumer = client.pullConsumer({ ...options, retries: false })
  const [message] = await until(consumer.receive())
  assert.ok(message)
  assert.equal(await until(consumer.retry(message)), 'retrying')
  await clock.run(60_000)
  assert.deepEqual(await until(consumer.receive({ waitMs: 1_000 })), [])
  assert.deepEqual([retries.pops.length, retries.asides.length], [0, 1])
  await until(client.close())
})

void test('what waits is given back when the member may deliver nothing, and asked for when it may again', async () => {
  const { client, until, clock, retries, topicId } = await setUp(0)
  const consumer = client.pullConsumer(options)
  assert.deepEqual(await until(consumer.receive({ waitMs: 1_000 })), [])
  const number = retries.add({ topicId, partition: 0, offset: 1 })
  await clock.run(1_000)
  assert.ok((retries.retries.get(number)?.leasedUntil ?? 0) > 0)
  consumer.pause()
  await clock.run(50)
  assert.deepEqual(retries.acts, [{ verb: 'release', number, result: 'released' }])
  const pops = retries.pops.length
  await clock.run(100_000)
  assert.equal(retries.pops.length, pops)
  assert.deepEqual(await until(consumer.receive({ waitMs: 1_000 })), [])
  consumer.resume()
  assert.equal((await until(consumer.receive())).length, 1)
  await until(client.close())
})
