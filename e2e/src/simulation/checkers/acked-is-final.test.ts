import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ackedIsFinal } from './acked-is-final.ts'
import { SampleDelivery } from './testing/sample-delivery.ts'

void test('what is handed out again was not acknowledged, or its pop was under way before', () => {
  const sample = new SampleDelivery()
  const first = sample.handed(10)
  sample.told(first, 'expired', { atMs: 150 })
  const second = sample.handed(140, { attempt: 2 })
  sample.told(second, 'acked', { atMs: 160 })
  sample.handed(170, { attempt: 3, askedMs: 155 })
  assert.equal(sample.judged(ackedIsFinal), '')
})

void test('a message that is handed out after its ack was answered', () => {
  const sample = new SampleDelivery()
  sample.told(sample.handed(10), 'acked', { atMs: 20 })
  sample.handed(300, { attempt: 2, consumer: 'd2' })
  assert.match(sample.judged(ackedIsFinal), /acked of what d1 .* and then d2 at 300 ms/)
})

void test('a reset has a message handed out again, if it went that far back', () => {
  const sample = new SampleDelivery()
  sample.told(sample.handed(10, { offset: 5 }), 'acked', { atMs: 20 }).reset(3, 100)
  sample.handed(300, { offset: 5, generation: 1 })
  assert.equal(sample.judged(ackedIsFinal), '')
  sample.delivery.resets.length = 0
  sample.reset(6, 100)
  assert.match(sample.judged(ackedIsFinal), /acked of what d1/)
})

void test('the copy that failed is not handed out beside its retry', () => {
  const sample = new SampleDelivery()
  sample.nacked(sample.handed(10), 'retrying', 20)
  sample.handed(200, { attempt: 2, number: 2 ** 52 })
  assert.equal(sample.judged(ackedIsFinal), '')
  sample.handed(300, { attempt: 2 })
  assert.match(sample.judged(ackedIsFinal), /retrying of what d1/)
})
