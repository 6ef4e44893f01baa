import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Scheduler } from '@popmq/kit/testing'
import { Pace } from './pace.ts'

void test('work is held to its rate', async () => {
  const clock = new Scheduler()
  const pace = new Pace(clock, 1_000)
  let done = 0
  const working = (async () => {
    for (; done < 500; done += 50) await pace.take(50, new AbortController().signal)
  })()
  await clock.run(449)
  assert.equal(done, 450)
  await clock.run(1)
  await working
  assert.equal(done, 500)
})

void test('a time of silence is not made up for', async () => {
  const clock = new Scheduler()
  const pace = new Pace(clock, 10)
  const { signal } = new AbortController()
  await pace.take(1, signal)
  await clock.run(60_000)
  await pace.take(1, signal)
  let isDue = false
  const next = pace.take(1, signal).then(() => (isDue = true))
  await clock.run(99)
  assert.equal(isDue, false)
  await clock.run(1)
  await next
})

void test('a slice is a twentieth of a second, and at least one message', () => {
  assert.equal(new Pace(new Scheduler(), 1_000).sliceCount, 50)
  assert.equal(new Pace(new Scheduler(), 0.5).sliceCount, 1)
  assert.equal(
    new Pace(new Scheduler(), Number.POSITIVE_INFINITY).sliceCount,
    Number.POSITIVE_INFINITY,
  )
})
