import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Scheduler } from '@popmq/kit/testing'
import { type Life, lifeClock, pause, wake } from './life.ts'

function process(): {
  scheduler: Scheduler
  life: Life
  told: string[]
  say: (word: string) => void
} {
  const told: string[] = []
  const say = (word: string): void => void told.push(word)
  return { scheduler: new Scheduler(), life: { isOver: false }, told, say }
}

void test('timers that are due while a process is paused run when it wakes, in their order', async () => {
  const { scheduler, life, told, say } = process()
  const clock = lifeClock(scheduler, life, { skewMs: 0 })
  clock.after(20, () => say(`second at ${clock.monotonic()}`))
  clock.after(10, () => say('first'))
  pause(life)
  await scheduler.run(500)
  assert.deepEqual(told, [])
  wake(scheduler, life)
  await scheduler.run(1)
  assert.deepEqual(told, ['first', 'second at 500'])
})

void test('a timer that was due while paused can be cancelled by one before it', async () => {
  const { scheduler, life, told, say } = process()
  const clock = lifeClock(scheduler, life, { skewMs: 0 })
  const later = clock.after(20, () => say('later'))
  clock.after(10, () => later.cancel())
  pause(life)
  await scheduler.run(500)
  wake(scheduler, life)
  await scheduler.run(1)
  assert.deepEqual(told, [])
})

void test('a process that is over does nothing any more, paused or not', async () => {
  const { scheduler, life, told, say } = process()
  lifeClock(scheduler, life, { skewMs: 0 }).after(10, () => say('too late'))
  pause(life)
  await scheduler.run(50)
  life.isOver = true
  wake(scheduler, life)
  await scheduler.run(1)
  assert.deepEqual(told, [])
})
