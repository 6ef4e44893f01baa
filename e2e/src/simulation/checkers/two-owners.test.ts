import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SampleGroup } from './testing/sample-group.ts'
import { twoOwners } from './two-owners.ts'

function judged(sample: SampleGroup): string {
  return twoOwners(sample.book)
    .map(({ what }) => what)
    .join('; ')
}

void test('a partition that goes from one member to the next has one owner', () => {
  const sample = new SampleGroup().told('a', 1, 0).handed('a', 1, 0, 1).committed('a', 1, 2)
  assert.equal(judged(sample.told('b', 2, 2).handed('b', 2, 2)), '')
})

void test('an epoch that is told to two members', () => {
  const sample = new SampleGroup().told('a', 1, 0).told('b', 1, 0)
  assert.match(judged(sample), /epoch 1 was told to a and to b/)
})

void test('messages that the old owner is handed after the new one', () => {
  const sample = new SampleGroup().told('a', 1, 0).told('b', 2, 0).handed('a', 1, 0)
  assert.equal(judged(sample), '')
  assert.match(
    judged(sample.handed('b', 2, 0).handed('a', 1, 1)),
    /a was handed messages under epoch 1, after b under 2/,
  )
})

void test('messages that no grant allows', () => {
  assert.match(judged(new SampleGroup().handed('a', 0, 4)), /without a grant/)
})

void test('a commit of the old owner counts only when it was asked for before the next grant was told', () => {
  const sample = new SampleGroup().told('a', 1, 0).told('b', 2, 0)
  assert.equal(judged(sample.committedLate('a', 1, 3)), '')
  assert.match(judged(sample.committed('a', 1, 4)), /a committed 4 under epoch 1, after epoch 2/)
})
