import assert from 'node:assert/strict'
import { test } from 'node:test'
import { delayedOnce } from './delayed-once.ts'
import { SampleDelivery } from './testing/sample-delivery.ts'

const delayed = (): SampleDelivery => new SampleDelivery().delayed('a')

void test('a delayed message is there once, or was cancelled', () => {
  assert.equal(delayed().left(['a', 1]).judged(delayedOnce), '')
  assert.equal(delayed().changed('done', 100).left().judged(delayedOnce), '')
  assert.equal(delayed().changed(undefined, 100).left().judged(delayedOnce), '')
})

void test('a delayed message that never comes, and one that comes twice', () => {
  assert.match(delayed().left().judged(delayedOnce), /^a \(99 for 7\/0\) never became visible/)
  assert.match(delayed().left(['a', 1], ['a', 2]).judged(delayedOnce), /became visible 2 times/)
})

void test('who cancels is told the truth', () => {
  const there = (): SampleDelivery => delayed().left(['a', 1])
  assert.equal(there().changed('delivered', 700).judged(delayedOnce), '')
  assert.match(there().changed('done', 100).judged(delayedOnce), /cancelled, and became visible/)
  assert.match(delayed().left().changed('delivered', 700).judged(delayedOnce), /nobody saw it/)
})

void test('unknown is what was cancelled before', () => {
  const gone = (): SampleDelivery => delayed().left()
  assert.match(gone().changed('unknown', 100).judged(delayedOnce), /told to be unknown/)
  assert.equal(gone().changed(undefined, 100).changed('unknown', 200).judged(delayedOnce), '')
})

void test('received is no promise when the broker dies', () => {
  const sample = new SampleDelivery().delayed('a', { acks: 'received' }).left()
  assert.match(sample.judged(delayedOnce), /never became visible/)
  assert.equal(sample.crashed(50).judged(delayedOnce), '')
})
