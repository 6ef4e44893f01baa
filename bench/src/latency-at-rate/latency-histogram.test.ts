import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LatencyHistogram, latencyOfAll } from './latency-histogram.ts'

function recorded(tookMs: readonly number[]): string {
  const histogram = new LatencyHistogram()
  for (const ms of tookMs) histogram.record(ms)
  return histogram.encode()
}

void test('what two processes recorded is put together, and its percentiles stand in order', () => {
  const tookMs = Array.from({ length: 2_000 }, (_, index) => (index + 1) / 1_000)
  const even = tookMs.filter((_, index) => index % 2 === 0)
  const odd = tookMs.filter((_, index) => index % 2 === 1)
  assert.deepEqual(latencyOfAll([recorded(even), recorded(odd)]), {
    ...{ count: 2_000, p50Ms: 1, p90Ms: 1.8, p99Ms: 1.98, p999Ms: 1.998, maxMs: 2 },
  })
})

void test('a stall of a second is kept to three digits', () => {
  const { p50Ms, maxMs } = latencyOfAll([recorded([0.25, 0.25, 1_234.567])])
  assert.equal(p50Ms, 0.25)
  assert.ok(Math.abs(maxMs - 1_234.567) < 1.234)
})

void test('of nothing recorded all are zero', () => {
  const none = { count: 0, p50Ms: 0, p90Ms: 0, p99Ms: 0, p999Ms: 0, maxMs: 0 }
  assert.deepEqual(latencyOfAll([]), none)
  assert.deepEqual(latencyOfAll([recorded([])]), none)
})
