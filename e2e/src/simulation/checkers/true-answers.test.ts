import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SampleDelivery } from './testing/sample-delivery.ts'
import { trueAnswers } from './true-answers.ts'

void test('an ack that is sent again is told that it was done already', () => {
  const sample = new SampleDelivery()
  const first = sample.handed(10)
  sample.told(first, undefined, { atMs: 20 }).told(first, 'already', { atMs: 30 })
  assert.equal(sample.judged(trueAnswers), '')
})

void test('already, and nobody had settled it', () => {
  const sample = new SampleDelivery()
  sample.told(sample.handed(10), 'already', { atMs: 30 })
  assert.match(sample.judged(trueAnswers), /told already .*, and nobody had settled it/)
})

void test('the last lease of a message may have moved it, seen or not', () => {
  const sample = new SampleDelivery()
  sample.told(sample.handed(10), 'already', { atMs: 900 })
  assert.match(sample.judged(trueAnswers), /nobody had settled it/)
  const lost = { group: 1, node: 'broker-1', askedMs: 300, answeredMs: Number.POSITIVE_INFINITY }
  sample.delivery.pops.push(lost)
  assert.equal(sample.judged(trueAnswers), '')
})

void test('one message is settled once, until a reset', () => {
  const sample = new SampleDelivery()
  sample.told(sample.handed(10), 'acked', { atMs: 20 })
  sample.reset(0, 50)
  sample.told(sample.handed(100, { generation: 1 }), 'acked', { atMs: 110 })
  assert.equal(sample.judged(trueAnswers), '')
  sample.told(sample.handed(200, { generation: 1 }), 'acked', { atMs: 210 })
  assert.match(sample.judged(trueAnswers), /told acked .* at 110 ms.*, and then .* told acked/)
})

void test('a lease that is not over does not expire', () => {
  const sample = new SampleDelivery()
  const first = sample.handed(10)
  sample.told(first, 'expired', { atMs: 60 })
  assert.match(sample.judged(trueAnswers), /told expired .*, and its lease was not over/)
  sample.takenBack(0, 40)
  assert.equal(sample.judged(trueAnswers), '')
})

void test('what became of a nack is as the policy says', () => {
  const sample = new SampleDelivery()
  sample.nacked(sample.handed(10), 'retrying', 20)
  sample.nacked(sample.handed(200, { attempt: 3, number: 2 ** 52 }), 'dead', 220)
  assert.equal(sample.judged(trueAnswers), '')
  sample.nacked(sample.handed(10, { offset: 1 }), 'dead', 20)
  sample.nacked(sample.handed(10, { offset: 2, attempt: 3 }), 'retrying', 20)
  assert.match(sample.judged(trueAnswers), /it was to be tried again; .* it was to be given up/)
})

void test('a handle from before a reset is over once something was handed out behind it', () => {
  const sample = new SampleDelivery()
  const before = sample.handed(10, { offset: 3 })
  sample.reset(0, 50).handed(60, { offset: 0, generation: 1 })
  sample.told(before, 'acked', { atMs: 80 })
  assert.match(sample.judged(trueAnswers), /told acked .* which was of before a reset/)
})

void test('a handle that is not good, and is taken for good', () => {
  const sample = new SampleDelivery()
  sample.delivery.badHandles.push({ expected: 'unknown', result: 'unknown' })
  assert.equal(sample.judged(trueAnswers), '')
  sample.delivery.badHandles.push({ expected: 'foreign', result: 'acked' })
  assert.match(sample.judged(trueAnswers), /a handle that is foreign was answered acked/)
})
