import assert from 'node:assert/strict'
import { test } from 'node:test'
import { firstHeldNumber, isMqError } from '@popmq/protocol'
import fc from 'fast-check'
import { decodeHoldChanges, encodeHoldChanges } from './hold-change.ts'

const change = fc
  .tuple(fc.nat(2 ** 40), fc.option(fc.nat(2 ** 48 - 1), { nil: undefined }))
  .map(([index, dueAt]) => ({ number: firstHeldNumber + index, dueAt }))

void test('changes come back as they were', () => {
  fc.assert(
    fc.property(fc.array(change), (changes) => {
      assert.deepEqual(decodeHoldChanges(encodeHoldChanges(changes)), changes)
    }),
  )
})

void test('more changes than a record holds, and bytes that are none, are refused', () => {
  const one = { number: firstHeldNumber, dueAt: 1 }
  assert.throws(
    () => encodeHoldChanges(Array.from({ length: 4_097 }, () => one)),
    (error: unknown) => isMqError(error, 'invalid_request'),
  )
  const good = encodeHoldChanges([one])
  for (const bad of [good.subarray(1), good.slice().fill(7, 14, 15)]) {
    assert.throws(
      () => decodeHoldChanges(bad),
      (error: unknown) => isMqError(error, 'corrupt_record'),
    )
  }
})
