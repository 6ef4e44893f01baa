import assert from 'node:assert/strict'
import { test } from 'node:test'
import { oneLease } from './one-lease.ts'
import { SampleDelivery } from './testing/sample-delivery.ts'

/** A second delivery of what was handed out at 10 ms, for 100 ms. */
function second(atMs: number, before: (sample: SampleDelivery) => void = () => undefined): string {
  const sample = new SampleDelivery()
  sample.handed(10)
  before(sample)
  sample.handed(atMs, { attempt: 2, consumer: 'd2' })
  return sample.judged(oneLease)
}

void test('a message is handed out again once its lease is over', () => {
  assert.equal(second(120), '')
  assert.match(second(90), /d1 at 10 ms .* and d2 at 90 ms .* had it at once/)
})

void test('a lease ends early when the message is given back, fails, is taken away or reset', () => {
  const handed = ({ delivery }: SampleDelivery): Parameters<SampleDelivery['told']>[0] => {
    const [first] = delivery.handed
    assert.ok(first)
    return first
  }
  assert.equal(
    second(50, (s) => void s.told(handed(s), 'released', { atMs: 30, verb: 'release' })),
    '',
  )
  assert.equal(
    second(50, (s) => void s.nacked(handed(s), undefined, 30)),
    '',
  )
  assert.equal(
    second(50, (s) => void s.takenBack(0, 30)),
    '',
  )
  assert.equal(
    second(50, (s) => void s.crashed(30)),
    '',
  )
  assert.match(
    second(50, (s) => void s.told(handed(s), 'expired', { atMs: 30 })),
    /at once/,
  )
})

void test('an extended lease goes on, as far as its extension was answered', () => {
  const extended = (result: 'extended' | undefined, atMs: number): string => {
    const sample = new SampleDelivery()
    const first = sample.handed(10)
    sample.told(first, result, { atMs: 50, verb: 'extend', invisibleMs: 300 })
    sample.handed(atMs, { attempt: 2 })
    return sample.judged(oneLease)
  }
  assert.match(extended('extended', 200), /at once/)
  assert.equal(extended('extended', 360), '')
  assert.equal(extended(undefined, 200), '')
})

void test('of two pops under way at once either may have been the first', () => {
  const sample = new SampleDelivery()
  sample.handed(400, { invisibleMs: 1_000, attempt: 2, askedMs: 300 })
  sample.handed(410, { askedMs: 250 })
  assert.equal(sample.judged(oneLease), '')
  sample.handed(420, { askedMs: 350, invisibleMs: 1_000, attempt: 2 })
  assert.match(sample.judged(oneLease), /at once/)
})
