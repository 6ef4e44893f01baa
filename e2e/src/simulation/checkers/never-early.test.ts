import assert from 'node:assert/strict'
import { test } from 'node:test'
import { neverEarly } from './never-early.ts'
import { SampleDelivery } from './testing/sample-delivery.ts'

void test('a delayed message is seen when its time has come, and has that append time', () => {
  const sample = new SampleDelivery().delayed('v0').left(['v0', 1_000_510])
  sample.handed(515)
  assert.equal(sample.judged(neverEarly), '')
  sample.left(['v0', 1_000_509])
  assert.match(sample.judged(neverEarly), /v0 is due at 1000510 and has the append time 1000509/)
})

void test('a delayed message that is seen too early, and a clock that explains it', () => {
  const sample = new SampleDelivery().delayed('v0')
  sample.handed(300)
  assert.match(sample.judged(neverEarly), /v0 is due at 1000510 and was seen at 1000300/)
  sample.jumped(60_000, 100)
  assert.equal(sample.judged(neverEarly), '')
})

void test('a delayed message that was moved has another time', () => {
  const sample = new SampleDelivery().delayed('v0').changed('done', 100, 1_000_900)
  sample.handed(600)
  assert.match(sample.judged(neverEarly), /v0 is due at 1000900/)
  sample.changed(undefined, 200, 1_000_550)
  assert.equal(sample.judged(neverEarly), '')
})

function retriedAt(atMs: number): SampleDelivery {
  const sample = new SampleDelivery()
  sample.nacked(sample.handed(10, { attempt: 2 }), 'retrying', 20)
  sample.handed(atMs, { attempt: 3, number: 2 ** 52 })
  return sample
}

void test('a retry waits as its policy says', () => {
  assert.equal(retriedAt(425).judged(neverEarly), '')
  assert.match(retriedAt(300).judged(neverEarly), /282 ms after the nack .* to wait 400 ms/)
})

void test('a clock that was set makes a retry wait for half the time, a restart for none', () => {
  const sample = retriedAt(300).jumped(1_000, 50)
  assert.equal(sample.judged(neverEarly), '')
  assert.match(retriedAt(100).jumped(1_000, 50).judged(neverEarly), /to wait 200 ms/)
  assert.equal(retriedAt(100).jumped(1_000, 50).crashed(60).judged(neverEarly), '')
})

void test('an operator may have it delivered now', () => {
  const sample = retriedAt(100)
  const place = { group: 1, partition: '7/0', offset: 0, number: 2 ** 52 }
  const asked = { to: 'now' as const, askedMs: 60, answeredMs: 70, result: 'done' as const }
  sample.delivery.retryChanges.push({ ...place, ...asked })
  assert.equal(sample.judged(neverEarly), '')
})
