import { type Clock, Heap, type Timer } from '@popmq/kit'
import type { PartitionKey } from '@popmq/protocol'

/** A held request. */
export interface Waiter {
  /** Lets go of it without waking it. */
  cancel(): void
}

interface Held {
  readonly keys: readonly PartitionKey[]
  readonly deadlineMs: number
  readonly wake: () => void
  isOver: boolean
}

/**
 * Held requests by the partitions they wait for. A waiter is woken once: by the first message in one of its partitions
 * or at its deadline, whichever comes first. One timer serves all deadlines.
 */
export class Waiters {
  readonly #clock: Clock
  readonly #byKey = new Map<PartitionKey, Set<Held>>()
  #deadlines = newDeadlines()
  #timer: Timer | undefined
  #timerAtMs = Number.POSITIVE_INFINITY
  #size = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** How many requests are held. */
  get size(): number {
    return this.#size
  }

  /** Deadlines in memory, those of waiters that are over included. */
  get deadlinesHeld(): number {
    return this.#deadlines.size
  }

  /** Calls `wake` once, when something happens in one of `keys` or after `waitMs`. */
  hold(keys: readonly PartitionKey[], waitMs: number, wake: () => void): Waiter {
    const held: Held = { keys, deadlineMs: this.#clock.monotonic() + waitMs, wake, isOver: false }
    for (const key of keys) {
      const others = this.#byKey.get(key)
      if (others === undefined) this.#byKey.set(key, new Set([held]))
      else others.add(held)
    }
    this.#size += 1
    if (this.#deadlines.size > 1_024 + 2 * this.#size) this.#forgetOver()
    this.#deadlines.push(held)
    this.#setTimer()
    return { cancel: () => void this.#release(held) }
  }

  /** Wakes everyone who waits for `key`. */
  wake(key: PartitionKey): void {
    const woken = this.#byKey.get(key)
    if (woken === undefined) return
    for (const held of [...woken]) if (this.#release(held)) held.wake()
  }

  /** Wakes everyone: the broker is stopping. */
  wakeAll(): void {
    for (const key of [...this.#byKey.keys()]) this.wake(key)
  }

  #release(held: Held): boolean {
    if (held.isOver) return false
    held.isOver = true
    this.#size -= 1
    for (const key of held.keys) {
      const others = this.#byKey.get(key)
      others?.delete(held)
      if (others?.size === 0) this.#byKey.delete(key)
    }
    return true
  }

  /** Most waiters are woken long before their deadline: theirs are dropped when they outnumber the living. */
  #forgetOver(): void {
    const living = newDeadlines()
    for (let held = this.#deadlines.pop(); held !== undefined; held = this.#deadlines.pop()) {
      if (!held.isOver) living.push(held)
    }
    this.#deadlines = living
  }

  #setTimer(): void {
    const next = this.#deadlines.peek()
    if (next === undefined || next.deadlineMs >= this.#timerAtMs) return
    this.#timer?.cancel()
    this.#timerAtMs = next.deadlineMs
    this.#timer = this.#clock.after(next.deadlineMs - this.#clock.monotonic(), () => this.#expire())
  }

  #expire(): void {
    this.#timerAtMs = Number.POSITIVE_INFINITY
    const nowMs = this.#clock.monotonic()
    for (let next = this.#deadlines.peek(); next !== undefined; next = this.#deadlines.peek()) {
      if (!next.isOver && next.deadlineMs > nowMs) break
      this.#deadlines.pop()
      if (this.#release(next)) next.wake()
    }
    this.#setTimer()
  }
}

function newDeadlines(): Heap<Held> {
  return new Heap((a, b) => a.deadlineMs < b.deadlineMs)
}
