import assert from 'node:assert/strict'
import { test } from 'node:test'
import { kindName, readSections, RecordView } from '@popmq/protocol'
import type { OutgoingMessage } from './api/outgoing-message.ts'
import { makeWorld } from './testing/world.ts'

const day = 86_400_000

void test('a delayed message is written as such, and its receipt names it instead of an offset', async () => {
  const { cluster, client, until } = await makeWorld({ brokers: 2 })
  cluster.addTopic('orders', 2)
  const producer = client.producer()
  const message = { topic: 'orders', value: 'later', partition: 1, delayMs: 5_000 }
  const receipt = await until(producer.send(message))
  assert.equal(receipt.offset, -1)
  assert.equal(receipt.delayId, '2-0')
  assert.equal((JSON.parse(JSON.stringify(receipt)) as { delayId: string }).delayId, '2-0')
  const [bytes = new Uint8Array()] = cluster.log('orders', 1).delayed
  const record = new RecordView(bytes)
  assert.equal(kindName(record.kind), 'delayed')
  assert.deepEqual(readSections(record), { delayMs: 5_000 })
  assert.equal(cluster.log('orders', 1).high, 0)
})

void test('a time is told as it is; none, zero and one that is past are no delay', async () => {
  const { cluster, client, until, clock } = await makeWorld()
  cluster.addTopic('orders')
  const at = clock.now() + 366 * day
  const receipts = await until(
    client.producer().sendBatch([
      { topic: 'orders', value: 'a', deliverAt: new Date(at) },
      { topic: 'orders', value: 'b', deliverAt: clock.now() - 1 },
      { topic: 'orders', value: 'c', deliverAt: new Date(-5) },
      { topic: 'orders', value: 'd', delayMs: 0 },
      { topic: 'orders', value: 'e' },
    ]),
  )
  assert.deepEqual(
    receipts.map(({ offset, delayId }) => [offset, delayId]),
    [[-1, '1-0'], [0, undefined], [1, undefined], [2, undefined], [3, undefined]], // prettier-ignore
  )
  assert.ok(!('delayId' in (receipts[1] ?? {})))
  const [bytes = new Uint8Array()] = cluster.log('orders').delayed
  assert.deepEqual(readSections(new RecordView(bytes)), { deliverAt: at })
})

void test('a run holds records of one kind; the order of a partition is kept', async () => {
  const { cluster, client, until } = await makeWorld()
  cluster.addTopic('orders')
  const delays = [undefined, undefined, 7, 8, undefined, 9]
  const messages = delays.map((delayMs, value): OutgoingMessage => {
    const message = { topic: 'orders', value: String(value) }
    return delayMs === undefined ? message : { ...message, delayMs }
  })
  const receipts = await until(client.producer().sendBatch(messages))
  assert.deepEqual(
    receipts.map(({ offset, delayId }) => delayId ?? offset),
    [0, 1, '1-0', '1-1', 2, '1-2'],
  )
  const log = cluster.log('orders')
  assert.deepEqual(log.values(), ['0', '1', '4'])
  const runs = [...log.records, ...log.delayed].map((bytes) => {
    const { runBase, runCount } = new RecordView(bytes)
    return [runBase, runCount]
  })
  // Numbered through: each run follows on the one before it, whatever its kind.
  assert.deepEqual(runs, [[0, 2], [0, 2], [4, 1], [2, 2], [2, 2], [5, 1]]) // prettier-ignore
})

void test('a second send under one dedup id is told the delayed message that was first', async () => {
  const { cluster, client, until } = await makeWorld()
  cluster.addTopic('orders')
  const producer = client.producer()
  const message = { topic: 'orders', value: 1, dedupId: 'x', delayMs: 60_000 }
  const first = await until(producer.send(message))
  const second = await until(producer.send(message))
  assert.deepEqual(
    [first, second].map(({ offset, delayId, duplicate }) => ({ offset, delayId, duplicate })),
    [
      { offset: -1, delayId: '1-0', duplicate: false },
      { offset: -1, delayId: '1-0', duplicate: true },
    ],
  )
})

void test('a delay that is none is refused by the name of its field', async () => {
  const { cluster, client, failure, clock } = await makeWorld()
  cluster.addTopic('orders')
  const producer = client.producer()
  const now = clock.now()
  const wrong: [Partial<OutgoingMessage>, RegExp][] = [
    [{ delayMs: -1 }, /delayMs/],
    [{ delayMs: 1.5 }, /delayMs/],
    [{ delayMs: Number.NaN }, /delayMs/],
    [{ delayMs: 366 * day + 1 }, /delayMs/],
    [{ delayMs: '5s' as unknown as number }, /delayMs/],
    [{ deliverAt: Number.NaN }, /deliverAt/],
    [{ deliverAt: new Date('never') }, /deliverAt/],
    [{ deliverAt: new Date('9999-01-01') }, /deliverAt.*366 days/],
    [{ deliverAt: now + 366 * day + 1 }, /deliverAt/],
    [{ deliverAt: '2030-01-01' as unknown as number }, /deliverAt/],
    [{ deliverAt: now, delayMs: 0 }, /delayMs or deliverAt/],
  ]
  for (const [fields, names] of wrong) {
    const error = await failure(producer.send({ topic: 'orders', value: 1, ...fields }))
    assert.equal(error.name, 'invalid_request')
    assert.match(error.message, names)
  }
  assert.equal(cluster.count('produce'), 0)
})
