import assert from 'node:assert/strict'
import { test } from 'node:test'
import { progressRegress } from './progress-regress.ts'
import { SampleGroup } from './testing/sample-group.ts'

function judged(sample: SampleGroup): string {
  return progressRegress(sample.book)
    .map(({ what }) => what)
    .join('; ')
}

void test('the next owner goes on at what was committed, or above', () => {
  const sample = new SampleGroup().told('a', 1, 0).committed('a', 1, 5).told('b', 2, 5)
  assert.equal(judged(sample.committed('b', 2, 7).told('c', 3, 8)), '')
})

void test('the next owner that goes on below a commit, also when that is acknowledged late', () => {
  const sample = new SampleGroup().told('a', 1, 0).committed('a', 1, 5).told('b', 2, 4)
  assert.match(judged(sample), /b goes on at 4 under epoch 2, below 5 which a committed/)
  const late = new SampleGroup().told('a', 1, 0).told('b', 2, 4).committedLate('a', 1, 5)
  assert.match(judged(late), /b goes on at 4/)
})

void test('a grant that is told again below what was committed before it was asked for', () => {
  const sample = new SampleGroup().told('a', 1, 0).committed('a', 1, 5).toldAgain('a', 1, 3)
  assert.match(judged(sample), /a goes on at 3 under epoch 1/)
})

void test('a commit below an earlier one', () => {
  const sample = new SampleGroup().told('a', 1, 0).committed('a', 1, 5).committed('a', 1, 4)
  assert.match(judged(sample), /a commits 4 under epoch 1, below 5/)
})

void test('a reset explains a lower offset, but none below its own', () => {
  const reset = (): SampleGroup => new SampleGroup().told('a', 1, 0).committed('a', 1, 5).reset(2)
  assert.equal(judged(reset().told('a', 2, 2)), '')
  assert.match(judged(reset().told('a', 2, 1)), /goes on at 1/)
})
