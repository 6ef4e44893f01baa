import assert from 'node:assert/strict'
import { test } from 'node:test'
import { groupOrder } from './group-order.ts'
import { SampleGroup } from './testing/sample-group.ts'

function judged(sample: SampleGroup): string {
  return groupOrder(sample.book)
    .map(({ what }) => what)
    .join('; ')
}

void test('messages come one after the other from where the grant goes on', () => {
  const sample = new SampleGroup().told('a', 1, 3).handed('a', 1, 3, 4).toldAgain('a', 1, 4)
  assert.equal(judged(sample.handed('a', 1, 5)), '')
})

void test('a gap, a step back, and a wrong begin', () => {
  const told = (): SampleGroup => new SampleGroup().told('a', 1, 3)
  assert.match(
    judged(told().handed('a', 1, 3, 5)),
    /5 was handed to a under epoch 1 where 4 was due/,
  )
  assert.match(judged(told().handed('a', 1, 3, 4).handed('a', 1, 4)), /4 was handed .* where 5/)
  assert.match(judged(told().handed('a', 1, 4)), /4 was handed .* where 3/)
})

void test('a grant that the member lost and has again begins again', () => {
  const sample = new SampleGroup().told('a', 1, 3).handed('a', 1, 3, 4).told('a', 1, 3)
  assert.equal(judged(sample.handed('a', 1, 3)), '')
})
