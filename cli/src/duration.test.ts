import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isMqError } from '@popmq/protocol'
import fc from 'fast-check'
import { durationBetween, formatDuration, parseDuration } from './duration.ts'

void test('a duration is a number and a unit', () => {
  const read = ['200ms', '5s', '2m', '72h', '14d', '1.5h', '0'].map(parseDuration)
  assert.deepEqual(read, [200, 5_000, 120_000, 259_200_000, 1_209_600_000, 5_400_000, 0])
})

void test('what is not a duration is refused with the forms that are', () => {
  for (const text of [
    '',
    '5',
    's',
    '-5s',
    '5 s',
    '5S',
    '1e3s',
    '5sec',
    '٣s',
    '9'.repeat(12) + 'd',
    'NaNs',
  ]) {
    assert.throws(
      () => parseDuration(text),
      (error) => isMqError(error, 'invalid_request') && /72h/.test(error.message),
    )
  }
})

void test('a formatted duration is read back as the same', () => {
  const upToAYear = fc.integer({ min: 0, max: 366 * 86_400_000 })
  fc.assert(fc.property(upToAYear, (ms) => parseDuration(formatDuration(ms)) === ms))
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 10_000 }),
      (days) => formatDuration(days * 86_400_000) === `${days}d`,
    ),
  )
})

void test('a duration out of range is refused with the range', () => {
  const parse = durationBetween(1, 900_000)
  assert.equal(parse('15m'), 900_000)
  assert.throws(() => parse('16m'), /1ms to 15m/)
  assert.throws(() => parse('0'), /1ms to 15m/)
})
