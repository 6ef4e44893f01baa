import assert from 'node:assert/strict'
import { test } from 'node:test'
import { deadTold } from './dead-told.ts'
import { letterOf, SampleDelivery } from './testing/sample-delivery.ts'

/** Three nacks of message 0. */
function died(): SampleDelivery {
  const sample = new SampleDelivery()
  for (const attempt of [1, 2, 3]) {
    const handed = sample.handed(attempt * 1_000, { attempt, number: 2 ** 52 + attempt })
    sample.nacked(handed, attempt === 3 ? 'dead' : 'retrying', attempt * 1_000 + 10)
  }
  return sample
}

void test('a letter tells of every delivery', () => {
  assert.equal(died().ended({}, [letterOf()]).judged(deadTold), '')
})

void test('a letter with a gap, or without a history', () => {
  const told = letterOf().told.filter(({ n }) => n !== 2)
  const gap = died()
    .ended({}, [letterOf({ told })])
    .judged(deadTold)
  assert.match(gap, /died after 3 deliveries and tells 1,3; .* does not tell how delivery 2 ended/)
  const none = died().ended({}, [letterOf({ told: [] })])
  assert.match(none.judged(deadTold), /tells none/)
})

void test('a letter that tells of another consumer, or another end', () => {
  const told = letterOf().told.map((each) => ({ ...each, consumer: 'd9' }))
  assert.match(
    died()
      .ended({}, [letterOf({ told })])
      .judged(deadTold),
    /does not tell how delivery 1 ended/,
  )
})

void test('what was told to be dead has one letter', () => {
  assert.match(died().ended({}).judged(deadTold), /was told to be dead and is not/)
  const twice = died().ended({}, [letterOf(), letterOf({ letter: 1 })])
  assert.match(twice.judged(deadTold), /has 2 letters/)
})

void test('what was acknowledged is not dead', () => {
  const sample = new SampleDelivery()
  sample.told(sample.handed(10), 'acked', { atMs: 20 }).ended({}, [letterOf()])
  assert.match(sample.judged(deadTold), /was acknowledged and is dead/)
})
