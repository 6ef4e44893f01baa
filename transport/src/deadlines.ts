import { type Clock, Heap, type Timer } from '@popmq/kit'

/** Something that is over at `dueMs` (monotonic) unless it was settled before. */
export interface Deadline {
  readonly dueMs: number
  readonly settled: boolean
  /** Called once, when the time has come and it is not settled. */
  expire(): void
}

/**
 * Many deadlines on one timer of the clock. What is settled early stays in the heap until it surfaces, or until such
 * dead weight is more than half of it: then the heap is built again, so its size follows what is alive.
 */
export class Deadlines {
  readonly #clock: Clock
  #heap = emptyHeap()
  #dead = 0
  #timer: Timer | undefined
  #timerDueMs = Number.POSITIVE_INFINITY

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** How many are kept, dead weight counted. */
  get size(): number {
    return this.#heap.size
  }

  add(deadline: Deadline): void {
    this.#heap.push(deadline)
    if (deadline.dueMs < this.#timerDueMs) this.#arm(deadline.dueMs)
  }

  /** To be told of each deadline that settles before it expires. */
  settled(): void {
    this.#dead += 1
    if (this.#dead > 64 && this.#dead * 2 > this.#heap.size) this.#rebuild()
  }

  /** Forgets all of them. */
  clear(): void {
    this.#heap = emptyHeap()
    this.#dead = 0
    this.#disarm()
  }

  #rebuild(): void {
    const full = this.#heap
    this.#heap = emptyHeap()
    this.#dead = 0
    for (let top = full.pop(); top !== undefined; top = full.pop()) {
      if (!top.settled) this.#heap.push(top)
    }
    if (this.#heap.size === 0) this.#disarm()
  }

  #arm(dueMs: number): void {
    this.#disarm()
    this.#timerDueMs = dueMs
    this.#timer = this.#clock.after(dueMs - this.#clock.monotonic(), () => this.#expireDue())
  }

  #disarm(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    this.#timerDueMs = Number.POSITIVE_INFINITY
  }

  #expireDue(): void {
    this.#disarm()
    const now = this.#clock.monotonic()
    for (let top = this.#heap.peek(); top !== undefined; top = this.#heap.peek()) {
      if (!top.settled && top.dueMs > now) {
        // Adding from inside `expire` may have set a timer for a later one.
        this.#arm(top.dueMs)
        return
      }
      this.#heap.pop()
      if (top.settled) this.#dead -= 1
      else top.expire()
    }
  }
}

function emptyHeap(): Heap<Deadline> {
  return new Heap<Deadline>((a, b) => a.dueMs < b.dueMs)
}
