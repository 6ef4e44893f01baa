import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gapMs, Tenures } from './tenures.ts'

void test('a partition that is given again is a new tenure, whose first message counts', () => {
  const tenures = new Tenures()
  tenures.begin(3)
  assert.deepEqual(tenures.all(), [{ partition: 3, isOver: false }])
  for (const nowMs of [10, 20, 30]) tenures.received(3, nowMs)
  assert.deepEqual(tenures.all(), [{ partition: 3, firstMs: 10, lastMs: 30, isOver: false }])
  tenures.end(3)
  assert.deepEqual(tenures.all(), [{ partition: 3, firstMs: 10, lastMs: 30, isOver: true }])
  tenures.begin(3)
  tenures.received(3, 90)
  assert.deepEqual(tenures.all(), [{ partition: 3, firstMs: 90, lastMs: 90, isOver: false }])
})

void test('a gap lies between the last message of the old owner and the first of the new', () => {
  const tenuresOf = new Map([
    ['old', [{ partition: 1, firstMs: 5, lastMs: 40, isOver: true }]],
    [
      'new',
      [
        { partition: 1, firstMs: 47, lastMs: 60, isOver: false },
        { partition: 2, isOver: false },
      ],
    ],
  ])
  assert.equal(gapMs({ partition: 1, from: 'old', to: 'new' }, tenuresOf), 7)
  assert.equal(gapMs({ partition: 2, from: 'old', to: 'new' }, tenuresOf), undefined)
  assert.equal(gapMs({ partition: 1, from: 'new', to: 'unheard' }, tenuresOf), undefined)
  // What it had of the partition before it was given it again is another tenure.
  assert.equal(gapMs({ partition: 1, from: 'new', to: 'old' }, tenuresOf), undefined)
})
