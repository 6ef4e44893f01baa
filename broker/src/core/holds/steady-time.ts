import type { Clock } from '@popmq/kit'
import type { TimeMs } from '@popmq/protocol'

/**
 * Wall time without its jumps: what delayed messages are due by. It goes by the monotonic clock and is drawn towards the
 * wall clock:
 *
 *     level     as the wall clock says
 *     behind    the wall clock was set forward: gains at most 1 s per second until it is level
 *     ahead     the wall clock was set back: loses half a second per second until it is level, and never goes back
 *
 *     level ──wall clock set forward──▶ behind ──caught up──▶ level
 *     level ──wall clock set back──▶ ahead ──caught up with──▶ level
 *
 * Invariants: it never goes back; in any stretch it goes at most twice as far as the monotonic clock; it is never later
 * than the latest time that the wall clock has shown, carried on by the monotonic clock.
 * What happens between two readings is spread over the time between them: read it often while something is waited for.
 */
export class SteadyTime {
  readonly #clock: Pick<Clock, 'now' | 'monotonic'>
  #time: number
  #readAtMs: number

  /** Begins with what the wall clock says, or with `atLeast` where that is later. */
  constructor(clock: Pick<Clock, 'now' | 'monotonic'>, atLeast: TimeMs) {
    this.#clock = clock
    this.#time = Math.max(clock.now(), atLeast)
    this.#readAtMs = clock.monotonic()
  }

  now(): TimeMs {
    const wall = this.#clock.now()
    const monotonicMs = this.#clock.monotonic()
    const elapsedMs = Math.max(0, monotonicMs - this.#readAtMs)
    this.#readAtMs = monotonicMs
    const isAhead = this.#time + elapsedMs > wall
    this.#time = isAhead
      ? Math.max(wall, this.#time + elapsedMs / 2)
      : Math.min(wall, this.#time + 2 * elapsedMs)
    return Math.floor(this.#time)
  }

  /** The least time that passes until `now` can give `at`, in ms; 0 when it does already. */
  msUntil(at: TimeMs): number {
    const now = this.now()
    const toGo = at - now
    const lag = this.#clock.now() - now
    if (toGo <= 0) return 0
    // While it is behind it goes twice as fast, until it has caught up.
    return lag > 0 && toGo <= 2 * lag ? toGo / 2 : toGo - Math.max(0, lag)
  }
}
