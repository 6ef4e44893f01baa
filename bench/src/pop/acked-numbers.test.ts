import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isMqError } from '@popmq/client'
import { AckedNumbers } from './acked-numbers.ts'

function acked(messages: number, numbers: readonly number[]): AckedNumbers {
  const made = new AckedNumbers(messages)
  for (const number of numbers) made.add(number)
  return made
}

void test('what several processes acked is put together', () => {
  const all = new AckedNumbers(19)
  all.addAll(acked(19, [0, 7, 8, 18]).encode())
  all.addAll(acked(19, [1, 17]).encode())
  assert.equal(all.count, 6)
  for (let number = 0; number < 19; number += 1) {
    if (![0, 1, 7, 8, 17, 18].includes(number)) all.add(number)
  }
  assert.equal(all.count, 19)
})

void test('what was acked twice or never sent is found, in one process or in two', () => {
  const twice = /message 4 was acked twice/
  const one = acked(10, [4])
  const wrongs: [() => void, RegExp][] = [
    [() => one.add(4), twice],
    [() => one.addAll(acked(10, [3, 4]).encode()), twice],
    [() => one.add(10), /message 10 of 10 was acked/],
  ]
  for (const [wrong, what] of wrongs)
    assert.throws(wrong, (error) => isMqError(error, 'corrupt_record') && what.test(error.message))
})
