import { setTimeout } from 'node:timers/promises'
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

/**
 * Resolves once `atMs` is near. A timer is a ms coarse, and turning around until the very moment would take a core from
 * what is measured: what becomes due meanwhile is sent a little late, and its latency counts that.
 */
export function rest(atMs: number): Promise<void> {
  return setTimeout(Math.max(1, Math.floor(atMs - sharedMs())))
}
