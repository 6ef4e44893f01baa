import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sleep } from '../clock.ts'
import { Scheduler } from './scheduler.ts'

void test('events run in order of time, those of one time in order of scheduling', async () => {
  const scheduler = new Scheduler()
  const ran: string[] = []
  scheduler.after(5, () => ran.push('late'))
  scheduler.after(1, () => ran.push('first'))
  scheduler.after(1, () => ran.push('second'))
  scheduler.after(2, () => ran.push('cancelled')).cancel()
  await scheduler.run(10)
  assert.deepEqual(ran, ['first', 'second', 'late'])
  assert.equal(scheduler.monotonic(), 10)
})

void test('a sleeper wakes when its time comes, or at once when aborted', async () => {
  const scheduler = new Scheduler()
  const abort = new AbortController()
  let woken = 0
  void sleep(scheduler, 1_000).then(() => (woken += 1))
  void sleep(scheduler, 60_000, abort.signal).then(() => (woken += 1))
  await scheduler.run(999)
  assert.equal(woken, 0)
  await scheduler.run(1)
  assert.equal(woken, 1)
  abort.abort()
  await scheduler.run(0)
  assert.equal(woken, 2)
})
