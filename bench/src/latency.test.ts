import assert from 'node:assert/strict'
import { test } from 'node:test'
import { latencyOf } from './latency.ts'

void test('a percentile is the smallest value that so many do not exceed', () => {
  const tookMs = Array.from({ length: 1_000 }, (_, index) => ((index * 7) % 1_000) + 1)
  assert.deepEqual(latencyOf(tookMs), {
    count: 1_000,
    p50Ms: 500,
    p90Ms: 900,
    p99Ms: 990,
    maxMs: 1_000,
  })
  assert.deepEqual(latencyOf([3.00049, 1]), {
    count: 2,
    p50Ms: 1,
    p90Ms: 3,
    p99Ms: 3,
    maxMs: 3,
  })
})

void test('of nothing measured all are zero', () => {
  assert.deepEqual(latencyOf([]), { count: 0, p50Ms: 0, p90Ms: 0, p99Ms: 0, maxMs: 0 })
})
