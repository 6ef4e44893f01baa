import assert from 'node:assert/strict'
import { test } from 'node:test'
import { groupLoss } from './group-loss.ts'
import { SampleGroup } from './testing/sample-group.ts'

function judged(sample: SampleGroup): string {
  return groupLoss(sample.book)
    .map(({ what }) => what)
    .join('; ')
}

void test('a group that was handed everything has lost nothing', () => {
  const sample = new SampleGroup().told('a', 1, 0).handed('a', 1, 0, 1).told('b', 2, 1)
  assert.equal(judged(sample.handed('b', 2, 1, 2).left(3, 3)), '')
})

void test('a message that was handed to nobody', () => {
  const sample = new SampleGroup().told('a', 1, 0).handed('a', 1, 0, 2).left(3, 3)
  assert.match(judged(sample), /1 messages were handed to nobody, the first at 1/)
})

void test('progress that is not at the end', () => {
  const sample = new SampleGroup().told('a', 1, 0).handed('a', 1, 0, 1, 2).left(3, 2)
  assert.match(judged(sample), /progress is 2 and the end is 3/)
})

void test('a group from the latest message on begins at its first grant', () => {
  const sample = new SampleGroup('latest').told('a', 1, 2).handed('a', 1, 2).left(3, 3)
  assert.equal(judged(sample), '')
})
