import { setImmediate, setTimeout } from 'node:timers/promises'
import { sharedMs } from '../monotonic.ts'

/**
 * When each of many things is due, whatever became of those before: nothing that stalls delays the rest of the schedule,
 * and what it holds up is late by as much.
 */
export class Schedule {
  readonly #startMs: number
  readonly #perMs: number
  readonly #count: number

  /** `count` of them from `startMs` on. */
  constructor({
    startMs,
    perSecond,
    count,
  }: {
    startMs: number
    perSecond: number
    count: number
  }) {
    this.#startMs = startMs
    this.#perMs = perSecond / 1_000
    this.#count = count
  }

  /** When number `number` is due; numbers begin at 0. */
  atMs(number: number): number {
    return this.#startMs + number / this.#perMs
  }

  /** How many are due by `nowMs`. */
  dueBy(nowMs: number): number {
    if (nowMs < this.#startMs) return 0
    // One less than it may be, since a product may lie a hair off: `atMs` decides.
    let due = Math.floor((nowMs - this.#startMs) * this.#perMs)
    while (due < this.#count && this.atMs(due) <= nowMs) due += 1
    return Math.min(due, this.#count)
  }
}

/** Timers come up to 2 ms late. */
const timerLateMs = 2
const mostPauseMs = 0.25
const nothing = new Int32Array(new SharedArrayBuffer(4))

/**
 * Resolves at `atMs` or a little before. A timer is a ms too coarse for a schedule of thousands a second, and turning
 * around costs a core: between turns of the event loop the thread itself rests for a part of a ms.
 */
export async function rest(atMs: number): Promise<void> {
  const leftMs = atMs - sharedMs()
  if (leftMs > 2 * timerLateMs) return setTimeout(leftMs - timerLateMs)
  if (leftMs > 0) Atomics.wait(nothing, 0, 0, Math.min(leftMs, mostPauseMs))
  return setImmediate()
}
