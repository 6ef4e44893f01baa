import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Scheduler } from '@popmq/kit/testing'
import { MovingDeadline } from './moving-deadline.ts'
import { PingWatchdog } from './ping-watchdog.ts'

function watched(answers: (pings: number) => boolean): {
  clock: Scheduler
  events: string[]
  watchdog: PingWatchdog
} {
  const clock = new Scheduler()
  const events: string[] = []
  let pings = 0
  const watchdog: PingWatchdog = new PingWatchdog({
    clock,
    sessionMs: 3_000,
    ping: () => {
      pings += 1
      events.push(`ping ${clock.monotonic()}`)
      if (answers(pings)) clock.after(10, () => watchdog.heard())
    },
    silent: () => events.push(`silent ${Math.round(clock.monotonic())}`),
  })
  return { clock, events, watchdog }
}

void test('a server is asked every third of the session’s time for as long as it answers', async () => {
  const { clock, events, watchdog } = watched(() => true)
  await clock.run(4_500)
  assert.deepEqual(events, ['ping 1000', 'ping 2000', 'ping 3000', 'ping 4000'])
  watchdog.stop()
  await clock.run(9_000)
  assert.equal(events.length, 4)
})

void test('a server that stops answering is silent after two thirds, once, and asked no more', async () => {
  const { clock, events } = watched((pings) => pings < 3)
  await clock.run(30_000)
  assert.deepEqual(events, ['ping 1000', 'ping 2000', 'ping 3000', 'ping 4000', 'silent 4011'])
})

void test('what waits behind a timer that comes late is heard before the deadline counts', async () => {
  const clock = new Scheduler()
  let reached = 0
  const deadline = new MovingDeadline(clock, () => (reached += 1))
  deadline.moveTo(100)
  // As after a standstill: due in the same turn as the deadline, but behind it.
  clock.after(100, () => deadline.moveTo(200))
  await clock.run(150)
  assert.equal(reached, 0)
  await clock.run(100)
  assert.equal(reached, 1)
  deadline.moveTo(10_000)
  await clock.run(20_000)
  assert.equal(reached, 1)
})

void test('a deadline never moves back, and a stopped one is not reached', async () => {
  const clock = new Scheduler()
  let reached = 0
  const deadline = new MovingDeadline(clock, () => (reached += 1))
  deadline.moveTo(100)
  deadline.moveTo(50)
  await clock.run(90)
  assert.equal(reached, 0)
  deadline.stop()
  await clock.run(1_000)
  assert.equal(reached, 0)
})
