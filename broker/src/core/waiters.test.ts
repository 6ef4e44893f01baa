import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Scheduler } from '@popmq/kit/testing'
import { partitionKey, partitionNumber, topicId } from '@popmq/protocol'
import { Waiters } from './waiters.ts'

const keyOf = (partition: number): ReturnType<typeof partitionKey> =>
  partitionKey(topicId(1), partitionNumber(partition))

void test('a waiter is woken once: by the first of its partitions or by its deadline', async () => {
  const clock = new Scheduler()
  const waiters = new Waiters(clock)
  const woken: string[] = []
  waiters.hold([keyOf(0), keyOf(1)], 100, () => woken.push('both'))
  waiters.hold([keyOf(1)], 50, () => woken.push('second'))
  waiters.hold([keyOf(2)], 10, () => woken.push('early'))
  waiters.wake(keyOf(0))
  waiters.wake(keyOf(1))
  waiters.wake(keyOf(1))
  assert.deepEqual(woken, ['both', 'second'])
  await clock.run(9)
  assert.equal(woken.length, 2)
  await clock.run(1)
  assert.deepEqual(woken, ['both', 'second', 'early'])
  assert.equal(waiters.size, 0)
})

void test('a cancelled waiter is never woken, and a later one keeps its own deadline', async () => {
  const clock = new Scheduler()
  const waiters = new Waiters(clock)
  const woken: string[] = []
  waiters.hold([keyOf(0)], 10, () => woken.push('cancelled')).cancel()
  waiters.hold([keyOf(0)], 30, () => woken.push('kept'))
  await clock.run(29)
  assert.deepEqual(woken, [])
  await clock.run(1)
  assert.deepEqual(woken, ['kept'])
})

void test('ten thousand waiters need one timer', async () => {
  const clock = new Scheduler()
  const waiters = new Waiters(clock)
  let woken = 0
  for (let index = 0; index < 10_000; index += 1)
    waiters.hold([keyOf(index % 1_000)], 1_000 + index, () => (woken += 1))
  const before = clock.eventsRun
  for (let partition = 0; partition < 1_000; partition += 1) waiters.wake(keyOf(partition))
  await clock.run(60_000)
  assert.equal(woken, 10_000)
  assert.ok(clock.eventsRun - before <= 2, `${clock.eventsRun - before} timers ran`)
})

void test('waiters that were woken early leave nothing behind', async () => {
  const clock = new Scheduler()
  const waiters = new Waiters(clock)
  let woken = 0
  for (let round = 0; round < 10_000; round += 1) {
    waiters.hold([keyOf(0)], 60_000, () => (woken += 1))
    waiters.wake(keyOf(0))
  }
  waiters.hold([keyOf(0)], 100, () => (woken += 1))
  assert.equal(woken, 10_000)
  assert.ok(waiters.deadlinesHeld <= 1_100, `${waiters.deadlinesHeld} deadlines are held`)
  await clock.run(100)
  assert.equal(woken, 10_001)
})
