import assert from 'node:assert/strict'
import { test } from 'node:test'
import { shareOf } from './pop-runs.ts'
import { pairRatios } from './run-pop-bench.ts'

void test('a ratio is the median of the pairs, not the ratio of the medians', () => {
  const held = [100, 200, 90]
  const plain = [100, 400, 300]
  assert.deepEqual(pairRatios(held, plain), { pairs: [1, 0.5, 0.3], ratio: 0.5 })
  assert.deepEqual(pairRatios([1, 2], [2, 2]), { pairs: [0.5, 1], ratio: 0.75 })
})

void test('consumers are shared out evenly, all of them', () => {
  const shares = (whole: number, of: number): readonly number[] =>
    Array.from({ length: of }, (_, index) => shareOf(whole, { of, index }))
  assert.deepEqual(shares(8, 3), [3, 3, 2])
  assert.deepEqual(shares(8, 1), [8])
  assert.deepEqual(shares(2, 2), [1, 1])
})
