import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isMqError } from '@popmq/client'
import { readNumber } from '../../tally.ts'
import { TextReader, textValue } from './text-value.ts'

void test('a number comes back from text of the size that was asked for', () => {
  for (const sizeBytes of [4, 6, 100]) {
    const reader = new TextReader(sizeBytes)
    for (const number of [0, 35, 36, 1_679_615]) {
      const text = textValue(number, sizeBytes)
      assert.equal(Buffer.byteLength(text), sizeBytes)
      const value = reader.read(text)
      assert.equal(value.length, sizeBytes)
      assert.equal(readNumber(value), number)
    }
  }
})

void test('a number too large for its size is refused, and so is text of another size', () => {
  assert.throws(
    () => textValue(36 ** 4, 4),
    (error) => isMqError(error, 'invalid_request'),
  )
  assert.throws(
    () => new TextReader(100).read(textValue(1, 99)),
    (error) => isMqError(error, 'corrupt_record'),
  )
})
