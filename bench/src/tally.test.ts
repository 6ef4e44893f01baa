import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isMqError } from '@popmq/client'
import { Tally, writeNumber } from './tally.ts'

function value(number: number, bytes = 10): Uint8Array {
  const made = new Uint8Array(bytes)
  writeNumber(made, number)
  return made
}

void test('a tally is complete when every message came once', () => {
  const tally = new Tally({ messages: 70_000, sizeBytes: 10, partitions: 2 })
  for (let number = 0; number < 70_000; number += 1) {
    assert.equal(tally.isComplete, false)
    tally.take(value(number), number % 2)
  }
  assert.equal(tally.isComplete, true)
})

void test('what was lost, doubled, reordered, cut or never sent is found', () => {
  const wrongs: [(tally: Tally) => void, RegExp][] = [
    [(tally) => tally.take(value(1), 0), /message 1 came twice/],
    [(tally) => tally.take(value(0), 0), /message 0 came out of order in partition 0/],
    [(tally) => tally.take(value(5), 0), /message 5 of 5/],
    [(tally) => tally.take(value(2, 9), 0), /a value of 9 bytes, 10 were sent/],
  ]
  for (const [wrong, what] of wrongs) {
    const tally = new Tally({ messages: 5, sizeBytes: 10, partitions: 2 })
    tally.take(value(1), 0)
    assert.throws(
      () => wrong(tally),
      (error) => isMqError(error, 'corrupt_record') && what.test(error.message),
    )
    assert.equal(tally.isComplete, false)
  }
})
