import { type Clock, sleep } from '@popmq/kit'

/** Slices of a twentieth of a second: smooth, and few wake-ups. */
const slicesPerSecond = 20

/** Holds work to a rate: each piece is due when its predecessors, at the rate, would be done. */
export class Pace {
  readonly #clock: Clock
  readonly #perSecond: number
  #dueMs: number

  /** `perSecond` above 0; Infinity: no limit. */
  constructor(clock: Clock, perSecond: number) {
    this.#clock = clock
    this.#perSecond = perSecond
    this.#dueMs = clock.monotonic()
  }

  /** The most to do at once. */
  get sliceCount(): number {
    return Math.max(1, Math.floor(this.#perSecond / slicesPerSecond))
  }

  /** Resolves when `count` more may be done, or when `signal` is aborted. A time of silence is not made up for. */
  async take(count: number, signal: AbortSignal): Promise<void> {
    if (this.#perSecond === Number.POSITIVE_INFINITY) return
    const now = this.#clock.monotonic()
    const start = Math.max(this.#dueMs, now)
    this.#dueMs = start + (count * 1_000) / this.#perSecond
    if (start > now) await sleep(this.#clock, start - now, signal)
  }
}
