import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isMqError } from '@popmq/client'
import { LiveArrivals, liveSchedule } from './live-arrivals.ts'

const pace = { startMs: 1_000, rate: 500 }
const schedule = liveSchedule(pace)

void test('messages are due evenly, the first one at the start', () => {
  assert.deepEqual(
    [999, 1_000, 1_001.9, 1_002, 1_010].map((ms) => schedule.dueBy(ms)),
    [0, 1, 1, 2, 6],
  )
  assert.equal(schedule.atMs(5), 1_010)
})

void test('latency is counted from when a message was due, and of a span alone', () => {
  const arrivals = new LiveArrivals()
  // The first hundred take 1 ms each; then nothing comes for 40 ms, and all at once.
  for (let number = 0; number < 100; number += 1) arrivals.take(number, schedule.atMs(number) + 1)
  const stallEndMs = schedule.atMs(120)
  for (let number = 100; number < 120; number += 1) arrivals.take(number, stallEndMs)
  const before = arrivals.latency({ spans: [{ from: 0, to: 100 }], ...pace })
  assert.deepEqual([before.count, before.p50Ms, before.maxMs], [100, 1, 1])
  const stalled = arrivals.latency({ spans: [{ from: 100, to: 120 }], ...pace })
  assert.equal(stalled.count, 20)
  const spans = [
    { from: 90, to: 100 },
    { from: 110, to: 120 },
  ]
  assert.equal(arrivals.latency({ spans, ...pace }).count, 20)
  assert.ok(Math.abs(stalled.maxMs - 40) < 0.1 && Math.abs(stalled.p50Ms - 20) < 0.1)
})

void test('what is missing is counted, and what comes twice is refused', () => {
  const arrivals = new LiveArrivals()
  arrivals.take(2, 1)
  arrivals.take(200_000, 1)
  assert.equal(arrivals.missing([{ from: 0, to: 4 }]), 3)
  assert.equal(arrivals.missing([{ from: 199_999, to: 200_001 }]), 1)
  assert.throws(
    () => arrivals.take(2, 3),
    (error) => isMqError(error, 'corrupt_record'),
  )
})
