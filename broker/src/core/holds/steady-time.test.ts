import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Scheduler } from '@popmq/kit/testing'
import fc from 'fast-check'
import { SteadyTime } from './steady-time.ts'

/** A clock of whole ms on both sides. */
class PlainClock {
  wallMs = 1_000_000
  passedMs = 0
  now = (): number => this.wallMs
  monotonic = (): number => this.passedMs

  pass(ms: number): void {
    this.wallMs += ms
    this.passedMs += ms
  }
}

const step = fc.record({
  passMs: fc.nat(5_000),
  jumpMs: fc.oneof(
    { weight: 3, arbitrary: fc.constant(0) },
    fc.integer({ min: -60_000, max: 60_000 }),
  ),
})

void test('it never goes back, nor more than twice as fast as time, nor ahead of all that the wall clock showed', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 50 }), (steps) => {
      const clock = new PlainClock()
      const time = new SteadyTime(clock, 0)
      let last = time.now()
      let latest = last
      for (const { passMs, jumpMs } of steps) {
        clock.pass(passMs)
        clock.wallMs += jumpMs
        latest = Math.max(latest + passMs, clock.wallMs)
        const now = time.now()
        assert.ok(now >= last, 'it never goes back')
        assert.ok(now <= last + 2 * passMs + 1, `${now - last} ms in ${passMs}`)
        assert.ok(now <= latest, 'the wall clock carried on was never there')
        last = now
      }
      // Left alone it comes to agree with the wall clock: a second per second, half a second when it is ahead.
      const apartMs = Math.abs(clock.wallMs - last)
      clock.pass(2 * apartMs + 2)
      assert.equal(time.now(), clock.wallMs)
    }),
    { numRuns: 300 },
  )
})

void test('without jumps it is the wall clock', async () => {
  const clock = new Scheduler()
  const time = new SteadyTime(clock, 0)
  for (const passMs of [0.3, 0.4, 0.5, 10.2, 3_600_000, 0.1, 7]) {
    await clock.run(passMs)
    assert.equal(time.now(), clock.now())
  }
})

void test('set forward it gains one second per second; set back it goes at half the pace; it begins no earlier than told', () => {
  const clock = new PlainClock()
  const time = new SteadyTime(clock, 0)
  const start = time.now()
  clock.wallMs += 10_000
  assert.equal(time.now() - start, 0)
  clock.pass(3_000)
  assert.equal(time.now() - start, 6_000)
  clock.pass(9_000)
  assert.equal(time.now(), clock.now())
  clock.wallMs -= 4_000
  const before = time.now()
  clock.pass(1_000)
  assert.equal(time.now() - before, 500)
  assert.equal(new SteadyTime(clock, clock.wallMs + 77).now(), clock.wallMs + 77)
})

void test('the time until a moment is what passes until it is there, whether level or behind', () => {
  fc.assert(
    fc.property(fc.nat(20_000), fc.nat(20_000), (jumpMs, aheadMs) => {
      const clock = new PlainClock()
      const time = new SteadyTime(clock, 0)
      clock.wallMs += jumpMs
      const at = time.now() + aheadMs
      const waitMs = Math.ceil(time.msUntil(at))
      clock.pass(Math.max(0, waitMs - 1))
      assert.ok(waitMs === 0 || time.now() < at, 'not before')
      clock.pass(1)
      assert.ok(time.now() >= at, 'then')
    }),
  )
})
