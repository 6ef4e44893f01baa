import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SeededRandom } from '@popmq/kit/testing'
import { isMqError, MqError } from '@popmq/protocol'
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
  const receipts = await until(producer.sendBatch(orders(...texts(20))))
  assert.deepEqual(cluster.log('orders').values(), texts(20))
  assert.deepEqual(receipts.map(({ offset }) => offset), texts(20).map(Number))
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
  let requests = 0
  cluster.fault = ({ name }) => {
    if (name !== 'produce') return undefined
    requests += 1
    if (requests === 2) cluster.log('orders').forgetProducers()
    return requests === 1 ? { kind: 'lose_reply' } : undefined
  }
  assert.equal((await failure(producer.send({ topic: 'orders', value: 'b' }))).name, 'outcome_unknown')
  await until(producer.send({ topic: 'orders', value: 'c' }))
  assert.deepEqual(cluster.log('orders').values(), ['a', 'b', 'c'])
})

void test('messages follow their partition to another broker', async () => {
  const { cluster, client, until, clock } = await makeWorld({ brokers: 2 })
  cluster.addTopic('orders')
  const producer = client.producer()
  await until(producer.send({ topic: 'orders', value: 'a' }))
  cluster.move(1, 0)
  const waiting = producer.sendBatch(orders('b', 'c'))
  await clock.run(5_000)
  assert.deepEqual(cluster.log('orders').values(), ['a'])
  cluster.move(1, 2)
  await until(waiting)
  assert.deepEqual(cluster.log('orders').values(), ['a', 'b', 'c'])
})

void test('messages that may go anywhere pass by a partition that no broker leads', async () => {
  const { cluster, client, until } = await makeWorld({ brokers: 2 })
  cluster.addTopic('orders', 2)
  cluster.move(2, 0)
  const producer = client.producer()
  for (const value of texts(10)) {
    const { partition } = await until(producer.send({ topic: 'orders', value }))
    assert.equal(partition, 0)
  }
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
  assert.deepEqual(results.map(({ error }) => error?.name), [undefined, 'topic_not_found', undefined])
  assert.deepEqual(cluster.log('orders').values(), ['a', 'c'])
  assert.ok(clock.monotonic() - started < 1_000)
})

void test('what is wrong with a message is told before it is sent, and fails it alone', async () => {
  const { cluster, client, until } = await makeWorld()
  cluster.addTopic('orders', 2, { maxMessageBytes: 10 })
  const wrong = (message: object): OutgoingMessage => ({ topic: 'orders', value: 1, ...message })
  const results = await until(
    client.producer().sendBatchSettled([
      wrong({ value: 'x'.repeat(11) }),
      wrong({ partition: 2 }),
      wrong({ key: 'k'.repeat(1_025) }),
      wrong({ delayMs: 5 }),
      wrong({ topic: 'no such name!' }),
      wrong({ value: undefined }),
      wrong({ value: 'fine' }),
    ]),
  )
  assert.deepEqual(results.map(({ error }) => error?.name), [
    'message_too_large',
    'partition_not_found',
    'invalid_request',
    'invalid_request',
    'invalid_name',
    'invalid_request',
    undefined,
  ])
  assert.match(results[3]?.error?.message ?? '', /no "delayMs"/)
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

void test('a dedup id that was seen is answered with the first receipt', async () => {
  const { cluster, client, until } = await makeWorld()
  cluster.addTopic('orders')
  const first = await until(client.producer().send({ topic: 'orders', value: 'a', dedupId: 'd' }))
  const messages = [{ topic: 'orders', value: 'b' }, { topic: 'orders', value: 'c', dedupId: 'd' }, { topic: 'orders', value: 'd' }]
  const receipts = await until(client.producer().sendBatch(messages))
  assert.deepEqual(receipts.map(({ offset, duplicate }) => [offset, duplicate]), [
    [1, false],
    [first.offset, true],
    [2, false],
  ])
})

void test('without acks messages are told and not waited for, and a refusal does not stop later ones', async () => {
  const { cluster, client, until, clock } = await makeWorld()
  cluster.addTopic('orders')
  const producer = client.producer({ acks: 'none' })
  const [receipt] = await until(producer.sendBatch(orders('a')))
  await clock.run(10)
  assert.equal(receipt?.offset, -1)
  assert.equal(receipt.acks, 'none')
  cluster.fault = produceFaults({ kind: 'refuse', error: new MqError('broker_busy', 'busy') })
  await until(producer.send({ topic: 'orders', value: 'lost' }))
  await clock.run(10)
  await until(producer.send({ topic: 'orders', value: 'b' }))
  await clock.run(1_000)
  assert.deepEqual(cluster.log('orders').values(), ['a', 'b'])
})

void test('at the deadline a message that surely was not stored fails with the reason, one under way is unknown', async () => {
  const { cluster, client, until } = await makeWorld()
  cluster.addTopic('orders', 2)
  const producer = client.producer({ deliverWithinMs: 1_000 })
  cluster.fault = produceFaults({ kind: 'swallow' })
  const sent = producer.sendBatchSettled([{ topic: 'orders', value: 'a', partition: 0 }])
  const results = await until(sent)
  assert.equal(results[0]?.error?.name, 'outcome_unknown')
  const full = new MqError('disk_full', 'no room')
  cluster.fault = ({ name }) => (name === 'produce' ? { kind: 'refuse', error: full } : undefined)
  const refused = await until(producer.sendBatchSettled([{ topic: 'orders', value: 'b', partition: 1 }]))
  assert.equal(refused[0]?.error?.name, 'disk_full')
})

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
  assert.deepEqual(receipts.map(({ offset }) => offset), texts(10).map(Number))
  assert.equal(producer.stats().bufferedBytes, 0)
  const strict = client.producer({ bufferBytes: 65_536, onFull: 'reject' })
  const results = await until(strict.sendBatchSettled(texts(3).map(() => ({ topic: 'orders', value }))))
  assert.deepEqual(results.map(({ error }) => error?.name), [undefined, undefined, 'buffer_full'])
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
  const producer = client.producer({ onError: (error, { topic }) => failed.push([error.name, topic]) })
  producer.post({ topic: 'orders', value: 'a' })
  producer.post({ topic: 'nowhere', value: 'b' })
  await until(producer.flush())
  await until(producer.close())
  producer.post({ topic: 'orders', value: 'c' })
  await clock.run(1)
  assert.deepEqual(cluster.log('orders').values(), ['a'])
  assert.deepEqual(failed, [['topic_not_found', 'nowhere'], ['closed', 'orders']])
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
  assert.deepEqual(results.map(({ error }) => error?.name), ['outcome_unknown', 'outcome_unknown'])
})

void test('a topic deleted and made again takes new messages under its new id', async () => {
  const { cluster, client, until, failure } = await makeWorld()
  cluster.addTopic('orders')
  const producer = client.producer()
  await until(producer.send({ topic: 'orders', value: 'a' }))
  cluster.topics.delete('orders')
  assert.equal((await failure(producer.send({ topic: 'orders', value: 'b' }))).name, 'topic_not_found')
  cluster.addTopic('orders')
  await until(producer.send({ topic: 'orders', value: 'c' }))
  assert.deepEqual(cluster.log('orders').values(), ['c'])
})

void test('new partitions are used after a refresh', async () => {
  const { cluster, client, until, clock } = await makeWorld()
  cluster.addTopic('orders', 1)
  const producer = client.producer()
  await until(producer.send({ topic: 'orders', value: 'a' }))
  cluster.growTopic('orders', 3)
  await clock.run(31_000)
  const receipt = await until(producer.send({ topic: 'orders', value: 'b', partition: 2 }))
  assert.equal(receipt.partition, 2)
})

void test('an option out of its range, or unknown, is refused by name', async () => {
  const { client } = await makeWorld()
  assert.throws(() => client.producer({ lingerMs: -1 }), /lingerMs must be a whole number from 0 to 1000/)
  assert.throws(() => client.producer(JSON.parse('{"lingerms":1}') as object), /did you mean lingerMs/)
  assert.throws(() => client.producer(JSON.parse('{"acks":"all"}') as object), /acks must be one of/)
})

void test('under lost requests, lost replies, delays and moves nothing is lost, doubled or out of order', async () => {
  for (let seed = 1; seed <= 20; seed += 1) {
    const { cluster, client, until } = await makeWorld({ brokers: 2, seed })
    cluster.addTopic('orders', 3)
    const random = new SeededRandom(seed)
    cluster.fault = ({ name }): Fault | undefined => {
      if (name !== 'produce') return undefined
      const dice = random.next()
      if (dice < 0.1) return { kind: 'lose_reply' }
      if (dice < 0.2) return { kind: 'lose_request' }
      if (dice < 0.4) return { kind: 'delay', ms: Math.floor(random.next() * 300) }
      if (dice < 0.5) cluster.move(1, 1 + Math.floor(random.next() * 2))
      return undefined
    }
    const producer = client.producer({ batchMessages: 3 })
    const keyed = texts(200).map((value) => ({ topic: 'orders', key: String(Number(value) % 7), value }))
    const halves = [producer.sendBatch(keyed.slice(0, 100)), producer.sendBatch(keyed.slice(100))]
    const receipts = (await until(Promise.all(halves))).flat()
    const stored = [0, 1, 2].flatMap((partition) => {
      const values = cluster.log('orders', partition).values()
      assert.deepEqual(values, values.toSorted((a, b) => Number(a) - Number(b)), `seed ${seed}`)
      return values
    })
    assert.equal(stored.length, 200, `seed ${seed}`)
    receipts.forEach(({ partition, offset }, index) => {
      assert.equal(cluster.log('orders', partition).valueAt(offset), String(index), `seed ${seed}`)
    })
    await until(client.close())
  }
})
