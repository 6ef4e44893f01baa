import { type Clock, Heap, type Timer } from '@popmq/kit'

export interface AlarmsParts<T> {
  readonly clock: Clock
  /** The time that alarms are set by: ms, and never ahead of the clock's own pace. */
  readonly nowMs: () => number
  readonly ring: (item: T) => void
  /** Whether the item still waits: others are dropped when there are many of them. */
  readonly isLive: (item: T) => boolean
}

/** Items that are due at a time. One timer serves them all, set for the first. */
export class Alarms<T> {
  readonly #parts: AlarmsParts<T>
  #heap = newHeap<T>()
  #timer: { readonly atMs: number; readonly timer: Timer } | undefined
  #sizeAtSweep = 0

  constructor(parts: AlarmsParts<T>) {
    this.#parts = parts
  }

  /** How many are set, those that no longer wait included. */
  get size(): number {
    return this.#heap.size
  }

  set(atMs: number, item: T): void {
    this.#heap.push({ atMs, item })
    if (this.#heap.size > leastSweep && this.#heap.size > 2 * this.#sizeAtSweep) this.#sweep()
    this.#arm()
  }

  close(): void {
    this.#timer?.timer.cancel()
    this.#heap = newHeap()
  }

  #arm(): void {
    const next = this.#heap.peek()
    if (next === undefined || next.atMs >= (this.#timer?.atMs ?? Number.POSITIVE_INFINITY)) return
    this.#timer?.timer.cancel()
    const { clock, nowMs } = this.#parts
    // A timer may come a little early: a whole ms more, and none is found waiting for a fraction.
    const delayMs = Math.max(0, Math.ceil(next.atMs - nowMs()))
    this.#timer = { atMs: next.atMs, timer: clock.after(delayMs, () => this.#ring()) }
  }

  #ring(): void {
    this.#timer = undefined
    const nowMs = this.#parts.nowMs()
    for (let next = this.#heap.peek(); next !== undefined; next = this.#heap.peek()) {
      if (next.atMs > nowMs) break
      this.#heap.pop()
      this.#parts.ring(next.item)
    }
    this.#arm()
  }

  /** Most messages are settled long before their time: theirs are dropped when they outnumber the others. */
  #sweep(): void {
    const living = newHeap<T>()
    for (let next = this.#heap.pop(); next !== undefined; next = this.#heap.pop())
      if (this.#parts.isLive(next.item)) living.push(next)
    this.#heap = living
    this.#sizeAtSweep = living.size
  }
}

const leastSweep = 4_096

interface Alarm<T> {
  readonly atMs: number
  readonly item: T
}

function newHeap<T>(): Heap<Alarm<T>> {
  return new Heap((a, b) => a.atMs < b.atMs)
}
