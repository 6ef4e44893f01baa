import assert from 'node:assert/strict'
import { test } from 'node:test'
import { limits } from '@popmq/protocol'
import { backOffMs } from './back-off.ts'

function waits(text: string, count: number): number[] {
  return Array.from({ length: count }, (_, index) => backOffMs(text, index + 1))
}

void test('an exponential back-off doubles from its first time to its last', () => {
  assert.deepEqual(
    waits('exp:1s..10m', 12),
    [
      1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000, 128_000, 256_000, 512_000, 600_000,
      600_000,
    ],
  )
  assert.deepEqual(waits('exp:3ms..10ms', 4), [3, 6, 10, 10])
})

void test('an exponential back-off stays at its last time however often a message fails', () => {
  assert.equal(backOffMs('exp:1s..10m', 1_000), 600_000)
  assert.equal(backOffMs('exp:1s..10m', 100_000), 600_000)
})

void test('the last of several times repeats', () => {
  assert.deepEqual(waits('1s,10s,1m', 5), [1_000, 10_000, 60_000, 60_000, 60_000])
  assert.deepEqual(waits('200ms', 3), [200, 200, 200])
})

void test('every unit is read', () => {
  assert.deepEqual(waits('1ms,1s,1m,1h,1d', 5), [1, 1_000, 60_000, 3_600_000, 86_400_000])
})

void test('no wait is longer than a message may be delayed', () => {
  assert.equal(backOffMs('999999999999999d', 1), limits.delayMs)
  assert.equal(backOffMs('exp:1s..999999999999999d', 900), limits.delayMs)
})

void test('a text that is no back-off waits as the default does', () => {
  for (const text of [
    '',
    'soon',
    'exp:',
    'exp:1s',
    'exp:1s..2s..3s',
    '1s,',
    '0s',
    '-1s',
    'exp:a..b',
  ]) {
    assert.deepEqual(waits(text, 3), [1_000, 2_000, 4_000], text)
  }
})

void test('a back-off keeps its meaning when many others are read', () => {
  for (let ms = 1; ms <= 2_500; ms += 1) assert.equal(backOffMs(`${ms}ms`, 1), ms)
  assert.equal(backOffMs('1ms', 1), 1)
})
