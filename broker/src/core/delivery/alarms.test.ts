import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Clock } from '@popmq/kit'
import { Scheduler, SeededRandom } from '@popmq/kit/testing'
import { Alarms } from './alarms.ts'

interface Rung {
  readonly item: number
  readonly atMs: number
}

function alarmsOn(clock: Clock): {
  readonly alarms: Alarms<number>
  readonly rung: Rung[]
  readonly dead: Set<number>
} {
  const rung: Rung[] = []
  const dead = new Set<number>()
  const alarms = new Alarms<number>({
    clock,
    nowMs: () => clock.monotonic(),
    ring: (item) => void rung.push({ item, atMs: clock.monotonic() }),
    isLive: (item) => !dead.has(item),
  })
  return { alarms, rung, dead }
}

void test('each rings at its time, in the order of times, whatever order they were set in', async () => {
  const clock = new Scheduler()
  const { alarms, rung } = alarmsOn(clock)
  const random = new SeededRandom(1)
  const times = Array.from({ length: 500 }, () => Math.floor(random.next() * 10_000))
  for (const atMs of times) alarms.set(atMs, atMs)
  await clock.run(10_000)
  assert.equal(alarms.size, 0)
  assert.deepEqual(
    rung.map(({ item }) => item),
    times.toSorted((a, b) => a - b),
  )
  for (const { item, atMs } of rung) assert.equal(atMs, item)
})

void test('one that is set for an earlier time than the next rings in time', async () => {
  const clock = new Scheduler()
  const { alarms, rung } = alarmsOn(clock)
  alarms.set(1_000, 1)
  alarms.set(10, 2)
  alarms.set(0, 3)
  await clock.run(20)
  assert.deepEqual(
    rung.map(({ item }) => item),
    [3, 2],
  )
})

void test('a timer that comes early rings nothing before its time, and rings it then', async () => {
  const clock = new Scheduler()
  const early: Clock = {
    now: () => clock.now(),
    monotonic: () => clock.monotonic(),
    after: (delayMs, callback) => clock.after(delayMs - 0.7, callback),
  }
  const { alarms, rung } = alarmsOn(early)
  alarms.set(100.4, 1)
  await clock.run(200)
  assert.equal(rung.length, 1)
  assert.ok((rung[0]?.atMs ?? 0) >= 100.4)
})

void test('those that nobody waits for any more are dropped when there are many, and no other is', async () => {
  const clock = new Scheduler()
  const { alarms, rung, dead } = alarmsOn(clock)
  for (let item = 0; item < 100_000; item += 1) {
    alarms.set(3_600_000 + item, item)
    if (item % 100 !== 0) dead.add(item)
    assert.ok(alarms.size <= 10_000, `${alarms.size} are kept`)
  }
  await clock.run(3_700_001)
  const living = rung.filter(({ item }) => !dead.has(item))
  assert.equal(living.length, 1_000)
})

void test('after close none rings', async () => {
  const clock = new Scheduler()
  const { alarms, rung } = alarmsOn(clock)
  alarms.set(10, 1)
  alarms.close()
  await clock.run(100)
  assert.deepEqual(rung, [])
})
