import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Message } from '@popmq/client'
import { Ledger } from './ledger.ts'
import { Problems } from './problems.ts'
import { ReadingOrder } from './reading-order.ts'
import { type MessageName, sentMessage } from './sent-message.ts'

function given() {
  const problems = new Problems()
  const ledger = new Ledger({ producers: 1, partitions: 1, problems })
  const names = Array.from({ length: 4 }, () => ledger.sending(0))
  const order = new ReadingOrder({
    reader: 'a reader',
    ledger,
    problems,
    from: [5],
    isLast: false,
  })
  return { problems, names, order }
}

function message(name: MessageName | undefined, offset: number, value?: unknown): Message {
  const sent = sentMessage('chaos', name ?? { producer: 0, number: 0 })
  return { ...sent, value: value ?? sent.value, partition: 0, offset } as unknown as Message
}

void test('offsets that follow one another, in the order of sending, are no problem', () => {
  const { problems, names, order } = given()
  order.saw([message(names[0], 5), message(names[2], 6)])
  order.saw([message(names[3], 7)])
  for (const kind of ['gap', 'disorder', 'alien'] as const) assert.equal(problems.of(kind).count, 0)
  assert.deepEqual(order.next, [8])
})

void test('an offset that is left out is a gap', () => {
  const { problems, names, order } = given()
  order.saw([message(names[0], 5), message(names[1], 7)])
  assert.equal(problems.of('gap').count, 1)
})

void test('a message behind a later one of its producer is out of order', () => {
  const { problems, names, order } = given()
  order.saw([message(names[1], 5), message(names[0], 6)])
  assert.equal(problems.of('disorder').count, 1)
})

void test('a message that holds other than what was sent is alien', () => {
  const { problems, names, order } = given()
  order.saw([message(names[1], 5, { id: 'p0-1', filler: 'cut' })])
  assert.equal(problems.of('alien').count, 1)
})
