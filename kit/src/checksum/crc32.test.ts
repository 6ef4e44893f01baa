import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crc32 as nativeCrc32 } from 'node:zlib'
import fc from 'fast-check'
import { crc32 } from './crc32.ts'

void test('the check value of the standard', () => {
  assert.equal(crc32(new TextEncoder().encode('123456789')), 0xcbf43926)
  assert.equal(crc32(new Uint8Array(0)), 0)
})

void test('every range of any bytes has the sum that zlib gives, whichever way it is reckoned', () => {
  const ranges = fc.tuple(fc.uint8Array({ maxLength: 600 }), fc.nat(600), fc.nat(600))
  fc.assert(
    fc.property(ranges, ([bytes, one, other]) => {
      const [start = 0, end = 0] = [one, other]
        .map((at) => Math.min(at, bytes.length))
        .toSorted((a, b) => a - b)
      assert.equal(crc32(bytes, start, end), nativeCrc32(bytes.subarray(start, end)))
    }),
    { numRuns: 2_000 },
  )
})
