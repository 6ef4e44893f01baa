import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type MemberReading, overlapsOf, runsOf, together } from './group-runs.ts'

/** `0@3` is offset 3 of partition 0. */
function reading(member: string, ...words: string[]): MemberReading {
  const lines = words.map((word) => {
    const [partition, offset] = word.split('@').map(Number)
    return { partition, offset, key: null, value: { id: word } }
  })
  return { member, lines }
}

void test('offsets that follow one another are one run, whatever comes between them', () => {
  assert.deepEqual(runsOf([reading('a', '0@0', '1@5', '0@1', '1@6', '0@2')]), [
    { member: 'a', partition: 0, first: 0, last: 2 },
    { member: 'a', partition: 1, first: 5, last: 6 },
  ])
})

void test('a gap and a step back each begin another run', () => {
  const runs = runsOf([reading('a', '0@0', '0@2', '0@1')])
  assert.deepEqual(
    runs.map(({ first, last }) => [first, last]),
    [
      [0, 0],
      [1, 1],
      [2, 2],
    ],
  )
})

void test('a partition that is handed on without loss has runs that meet and do not overlap', () => {
  const runs = runsOf([reading('a', '0@0', '0@1'), reading('b', '0@2', '0@3')])
  assert.equal(runs.length, 2)
  assert.deepEqual(overlapsOf(runs), [])
})

void test('what came twice is told with both members', () => {
  const runs = runsOf([reading('a', '0@0', '0@1', '0@2', '1@0'), reading('b', '0@1', '0@2', '0@3')])
  assert.deepEqual(overlapsOf(runs), [{ partition: 0, first: 1, last: 2, members: ['a', 'b'] }])
})

void test('a member that goes back overlaps itself', () => {
  const runs = runsOf([reading('a', '0@0', '0@1', '0@1')])
  assert.deepEqual(overlapsOf(runs), [{ partition: 0, first: 1, last: 1, members: ['a', 'a'] }])
})

void test('all together each message is there once, in the order of its partition', () => {
  const seen = together([reading('a', '1@0', '0@0', '0@1'), reading('b', '0@1', '0@2')])
  assert.deepEqual(
    seen.map(({ id }) => id),
    ['0@0', '0@1', '0@2', '1@0'],
  )
})
