import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isMqError } from '@popmq/protocol'
import fc from 'fast-check'
import { parseFrom, parseMoment, parseOffsetOrMoment } from './moment.ts'

const now = Date.UTC(2026, 0, 1)

void test('a time is ISO 8601, ms since 1970, a while ago or a while ahead', () => {
  assert.equal(parseMoment('2026-03-01T12:00:00Z', now), Date.UTC(2026, 2, 1, 12))
  assert.equal(
    parseMoment('2026-03-01T12:00:00.250+02:00', now),
    Date.UTC(2026, 2, 1, 10, 0, 0, 250),
  )
  assert.equal(parseMoment('1767225600000', now), 1_767_225_600_000)
  assert.equal(parseMoment('-1h', now), now - 3_600_000)
  assert.equal(parseMoment('+90s', now), now + 90_000)
})

void test('a time without a zone is UTC', () => {
  assert.equal(parseMoment('2026-03-01', now), Date.UTC(2026, 2, 1))
  assert.equal(parseMoment('2026-03-01T12:00', now), Date.UTC(2026, 2, 1, 12))
})

void test('every moment is read back from the form that is printed', () => {
  const date = fc.date({
    min: new Date(0),
    max: new Date('9999-12-31T23:59:59.999Z'),
    noInvalidDate: true,
  })
  fc.assert(
    fc.property(date, (moment) => parseMoment(moment.toISOString(), now) === moment.getTime()),
  )
})

void test('what is no time is refused', () => {
  for (const text of [
    '',
    'yesterday',
    '1h',
    '2026-02-30',
    '2026-13-01',
    '2026-03-01T25:00',
    '2026-03-01Z',
    '-1',
    '+1',
    '+',
    '17',
  ]) {
    assert.throws(
      () => parseMoment(text, now),
      (error) => isMqError(error, 'invalid_request'),
      text,
    )
  }
})

void test('a small whole number is an offset, a large one a time', () => {
  assert.equal(parseOffsetOrMoment('0', now), 0)
  assert.equal(parseOffsetOrMoment('99999999999', now), 99_999_999_999)
  assert.deepEqual(parseOffsetOrMoment('100000000000', now), new Date(100_000_000_000))
  assert.deepEqual(parseFrom('-10m', now), new Date(now - 600_000))
  assert.equal(parseFrom('latest', now), 'latest')
})
