import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isMqError } from '@popmq/client'
import { writeNumber } from '../tally.ts'
import { Arrivals } from './arrivals.ts'

function value(number: number): Uint8Array {
  const bytes = new Uint8Array(8)
  writeNumber(bytes, number)
  return bytes
}

void test('order counts only where a peer keeps it, and each message once everywhere', () => {
  const of = { messages: 3, sizeBytes: 8, streams: 1 }
  const wrong = (error: unknown): boolean => isMqError(error, 'corrupt_record')
  const ordered = new Arrivals({ ...of, isOrdered: true })
  assert.equal(ordered.take(value(1), 0), false)
  assert.throws(() => ordered.take(value(0), 0), wrong)
  const loose = new Arrivals({ ...of, isOrdered: false })
  assert.deepEqual(
    [1, 0].map((number) => loose.take(value(number), 0)),
    [false, false],
  )
  assert.throws(() => loose.take(value(1), 0), wrong)
  assert.equal(loose.take(value(2), 0), true)
})
