import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Scheduler } from '@popmq/kit/testing'
import { Deadlines } from './deadlines.ts'

function deadline(
  dueMs: number,
  onExpire: (dueMs: number) => void,
): { dueMs: number; settled: boolean; expire(): void } {
  return { dueMs, settled: false, expire: () => onExpire(dueMs) }
}

void test('each deadline expires at its time, in any order of adding, settled ones never', async () => {
  const clock = new Scheduler()
  const deadlines = new Deadlines(clock)
  const expired: [number, number][] = []
  const all = [30, 10, 20, 10, 40].map((dueMs) =>
    deadline(dueMs, (due) => expired.push([due, clock.monotonic()])),
  )
  for (const each of all) deadlines.add(each)
  for (const each of all) {
    if (each.dueMs !== 20) continue
    each.settled = true
    deadlines.settled()
  }
  await clock.run(100)
  assert.deepEqual(expired, [
    [10, 10],
    [10, 10],
    [30, 30],
    [40, 40],
  ])
  assert.equal(deadlines.size, 0)
})

void test('the heap follows what is alive: a million settled calls leave nothing behind', () => {
  const deadlines = new Deadlines(new Scheduler())
  const kept = deadline(5, () => undefined)
  deadlines.add(kept)
  let most = 0
  for (let count = 0; count < 1_000_000; count += 1) {
    const each = deadline(60_000 + count, () => undefined)
    deadlines.add(each)
    each.settled = true
    deadlines.settled()
    most = Math.max(most, deadlines.size)
  }
  assert.ok(most < 200, `at most ${most} were kept`)
  assert.ok(deadlines.size >= 1)
})
