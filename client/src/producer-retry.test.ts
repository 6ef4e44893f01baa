import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SeededRandom } from '@popmq/kit/testing'
import { MqError } from '@popmq/protocol'
import type { Fault } from './testing/faults.ts'
import { orders, produceFaults, texts } from './testing/orders.ts'
import { makeWorld } from './testing/world.ts'

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
  assert.deepEqual(
    receipts.map(({ offset }) => offset),
    texts(20).map(Number),
  )
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
  assert.equal(
    (await failure(producer.send({ topic: 'orders', value: 'b' }))).name,
    'outcome_unknown',
  )
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
  const refused = await until(
    producer.sendBatchSettled([{ topic: 'orders', value: 'b', partition: 1 }]),
  )
  assert.equal(refused[0]?.error?.name, 'disk_full')
})

void test('a topic deleted and made again takes new messages under its new id', async () => {
  const { cluster, client, until, failure } = await makeWorld()
  cluster.addTopic('orders')
  const producer = client.producer()
  await until(producer.send({ topic: 'orders', value: 'a' }))
  cluster.topics.delete('orders')
  assert.equal(
    (await failure(producer.send({ topic: 'orders', value: 'b' }))).name,
    'topic_not_found',
  )
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
    const keyed = texts(200).map((value) => ({
      topic: 'orders',
      key: String(Number(value) % 7),
      value,
    }))
    const halves = [producer.sendBatch(keyed.slice(0, 100)), producer.sendBatch(keyed.slice(100))]
    const receipts = (await until(Promise.all(halves))).flat()
    const stored = [0, 1, 2].flatMap((partition) => {
      const values = cluster.log('orders', partition).values()
      assert.deepEqual(
        values,
        values.toSorted((a, b) => Number(a) - Number(b)),
        `seed ${seed}`,
      )
      return values
    })
    assert.equal(stored.length, 200, `seed ${seed}`)
    receipts.forEach(({ partition, offset }, index) => {
      assert.equal(cluster.log('orders', partition).valueAt(offset), String(index), `seed ${seed}`)
    })
    await until(client.close())
  }
})
