import assert from 'node:assert/strict'
import { test } from 'node:test'
import { redelivery } from './redelivery.ts'
import { SampleGroup } from './testing/sample-group.ts'

function judged(sample: SampleGroup): string {
  return redelivery(sample.book)
    .map(({ what }) => what)
    .join('; ')
}

void test('what was handed and not committed may be handed again', () => {
  const sample = new SampleGroup().told('a', 1, 0).handed('a', 1, 0, 1, 2).committed('a', 1, 2)
  assert.equal(judged(sample.told('b', 2, 2).handed('b', 2, 2)), '')
})

void test('what was committed is not handed again', () => {
  const sample = new SampleGroup().told('a', 1, 0).handed('a', 1, 0, 1, 2).committed('a', 1, 2)
  assert.match(
    judged(sample.told('b', 2, 1).handed('b', 2, 1, 2)),
    /1 was handed to b under epoch 2, and a had committed 2 under epoch 1/,
  )
})

void test('after a reset it is', () => {
  const sample = new SampleGroup().told('a', 1, 0).handed('a', 1, 0, 1).committed('a', 1, 2)
  assert.equal(judged(sample.reset(0).told('a', 2, 0).handed('a', 2, 0)), '')
})

void test('what was given back in good order is not handed again', () => {
  const sample = new SampleGroup().told('a', 1, 0).handed('a', 1, 0, 1).released('a', 1)
  assert.match(
    judged(sample.told('b', 2, 1)),
    /a gave it back under epoch 1 when it had handled 1, and b goes on at 1/,
  )
})

void test('what was lost before it was given back may be', () => {
  const sample = new SampleGroup().told('a', 1, 0).handed('a', 1, 0, 1).told('b', 2, 0)
  assert.equal(judged(sample.released('a', 1).handed('b', 2, 0)), '')
})
