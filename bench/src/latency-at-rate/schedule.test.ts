import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { sharedMs } from '../monotonic.ts'
import { rest, Schedule } from './schedule.ts'

void test('what is due depends on the time alone, and ends with the last one', () => {
  const schedule = new Schedule({ startMs: 50, perSecond: 2_000, count: 5 })
  const due = [49.9, 50, 50.4, 50.5, 51, 51.99, 52, 1_000].map((nowMs) => schedule.dueBy(nowMs))
  assert.deepEqual(due, [0, 1, 1, 2, 3, 4, 5, 5])
})

void test('each is due from its own moment on, at any rate', () => {
  const rates = fc.integer({ min: 1, max: 1_000_000 })
  const starts = fc.double({ min: 0, max: 1e9, noNaN: true })
  fc.assert(
    fc.property(rates, starts, fc.nat(99_999), (perSecond, startMs, number) => {
      const schedule = new Schedule({ startMs, perSecond, count: 100_000 })
      assert.ok(schedule.dueBy(schedule.atMs(number)) > number)
      assert.ok(schedule.atMs(schedule.dueBy(startMs + 1) - 1) <= startMs + 1)
    }),
    { numRuns: 200 },
  )
})

void test('until a moment a process rests a few times, and does not turn around', async () => {
  const atMs = sharedMs() + 6
  let rests = 0
  for (; sharedMs() < atMs; rests += 1) await rest(atMs)
  assert.ok(rests >= 1 && rests <= 100)
})
