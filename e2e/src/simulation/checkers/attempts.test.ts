import assert from 'node:assert/strict'
import { test } from 'node:test'
import { attempts } from './attempts.ts'
import { SampleDelivery } from './testing/sample-delivery.ts'

void test('deliveries are counted up to what is allowed', () => {
  const sample = new SampleDelivery()
  for (const attempt of [1, 2, 3]) sample.handed(attempt * 200, { attempt })
  assert.equal(sample.judged(attempts), '')
  sample.handed(900, { attempt: 4 })
  assert.match(sample.judged(attempts), /attempt 4\): 3 are allowed/)
})

void test('a lease that an operator took away is one more', () => {
  const sample = new SampleDelivery()
  sample.handed(10, { attempt: 3 })
  sample.takenBack(0, 20)
  sample.handed(30, { attempt: 4 })
  assert.equal(sample.judged(attempts), '')
})

void test('a number comes again only after a release, a crash or a reset', () => {
  const sample = new SampleDelivery()
  const first = sample.handed(10)
  sample.handed(200)
  assert.match(sample.judged(attempts), /attempt 1\), and then d1 at 200 ms \(attempt 1\)/)
  sample.crashed(100)
  assert.equal(sample.judged(attempts), '')
  sample.delivery.lifeEnds.length = 0
  sample.told(first, 'released', { atMs: 50, verb: 'release' })
  assert.equal(sample.judged(attempts), '')
})

void test('after a reset the count begins anew', () => {
  const sample = new SampleDelivery()
  sample.handed(10, { attempt: 2 })
  sample.reset(0, 20)
  sample.handed(30, { generation: 1 })
  assert.equal(sample.judged(attempts), '')
})
