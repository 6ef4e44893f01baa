import assert from 'node:assert/strict'
import { test } from 'node:test'
import { judgeDisk } from './disk-room.ts'
import { defaultSegmentBytes } from './options.ts'

void test('the less room, the stricter: warn, throttle, refuse', () => {
  const segment = 1_000
  assert.deepEqual(judgeDisk(4_000, segment), { state: 'ok', holdMs: 0 })
  assert.deepEqual(judgeDisk(3_999, segment), { state: 'warn', holdMs: 0 })
  assert.deepEqual(judgeDisk(2_500, segment), { state: 'throttle', holdMs: 250 })
  assert.deepEqual(judgeDisk(1_999, segment), { state: 'refuse', holdMs: 0 })
})

void test('segments are small on a small disk, so that two of them can be kept free', () => {
  const mebibyte = 1_048_576
  assert.equal(defaultSegmentBytes(2_000 * 1_024 * mebibyte), 1_024 * mebibyte)
  assert.equal(defaultSegmentBytes(8 * 1_024 * mebibyte), 256 * mebibyte)
  assert.equal(defaultSegmentBytes(64 * mebibyte), 4 * mebibyte)
})
