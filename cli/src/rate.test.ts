import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isMqError } from '@popmq/protocol'
import { parseRate } from './rate.ts'

void test('a rate is messages per second, minute or hour', () => {
  assert.deepEqual(
    ['500/s', '2k/s', '30/m', '3600/h', '10', '0.5/s'].map(parseRate),
    [500, 2_000, 0.5, 1, 10, 0.5],
  )
})

void test('what is not a rate, or is none, is refused', () => {
  for (const text of ['', '0', '0/s', '-1/s', '5/d', '5/', '/s', '5 /s']) {
    assert.throws(
      () => parseRate(text),
      (error) => isMqError(error, 'invalid_request'),
      text,
    )
  }
})
