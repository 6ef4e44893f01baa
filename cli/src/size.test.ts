import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isMqError } from '@popmq/protocol'
import { formatSize, parseSize } from './size.ts'

void test('a size is a number of bytes, with a decimal or binary unit', () => {
  const read = ['512', '100B', '64KiB', '8MiB', '1.5GB', '2kB'].map(parseSize)
  assert.deepEqual(read, [512, 100, 65_536, 8_388_608, 1_500_000_000, 2_000])
})

void test('what is not a size is refused', () => {
  for (const text of ['', 'B', '-1', '1 MB', '1XB', '1kib', '99999999999999TiB']) {
    assert.throws(
      () => parseSize(text),
      (error) => isMqError(error, 'invalid_request'),
    )
  }
})

void test('sizes are shown with three digits', () => {
  assert.deepEqual([0, 1_023, 1_024, 8_388_608, 1_073_741_824 * 1_000].map(formatSize), [
    '0 B',
    '1023 B',
    '1.00 KiB',
    '8.00 MiB',
    '1000 GiB',
  ])
})
