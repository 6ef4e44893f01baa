import { assert } from '../assert.ts'
import type { Clock, Timer } from '../clock.ts'
import { Heap } from '../heap.ts'

interface Event {
  readonly at: number
  readonly order: number
  cancelled: boolean
  readonly run: () => void
}

/**
 * Virtual time. Events run one by one in order of time, those of one time in order of scheduling; between two events
 * every promise that can settle does. With only this clock and a seeded random, a run is the same each time.
 */
export class Scheduler implements Clock {
  readonly #events = new Heap<Event>((a, b) => a.at < b.at || (a.at === b.at && a.order < b.order))
  #startedAt: number
  #elapsedMs = 0
  #order = 0
  #eventsRun = 0

  constructor(startedAt = Date.UTC(2026, 0, 1)) {
    this.#startedAt = startedAt
  }

  now(): number {
    return Math.floor(this.#startedAt + this.#elapsedMs)
  }

  /** Sets the wall clock, as an administrator may; monotonic time knows nothing of it. */
  setWall(nowMs: number): void {
    this.#startedAt = nowMs - this.#elapsedMs
  }

  monotonic(): number {
    return this.#elapsedMs
  }

  /** How many events have run. */
  get eventsRun(): number {
    return this.#eventsRun
  }

  after(delayMs: number, callback: () => void): Timer {
    assert(Number.isFinite(delayMs), 'a delay is a finite number of ms')
    this.#order += 1
    const event: Event = {
      at: this.#elapsedMs + Math.max(0, delayMs),
      order: this.#order,
      cancelled: false,
      run: callback,
    }
    this.#events.push(event)
    return { cancel: () => void (event.cancelled = true) }
  }

  /** Runs events until `done()` or until none is left or virtual time would pass `untilMs`. @returns whether `done()` held. */
  async runUntil(done: () => boolean, untilMs = Number.POSITIVE_INFINITY): Promise<boolean> {
    await settle()
    while (!done()) {
      const event = this.#nextEvent()
      if (event === undefined || event.at > untilMs) return false
      this.#events.pop()
      this.#elapsedMs = event.at
      this.#eventsRun += 1
      event.run()
      await settle()
    }
    return true
  }

  /** Lets `durationMs` of virtual time pass. */
  async run(durationMs: number): Promise<void> {
    const untilMs = this.#elapsedMs + durationMs
    await this.runUntil(() => false, untilMs)
    this.#elapsedMs = untilMs
  }

  #nextEvent(): Event | undefined {
    while (this.#events.peek()?.cancelled === true) this.#events.pop()
    return this.#events.peek()
  }
}

/** Lets every promise that needs no event settle: the micro-task queue is empty when an immediate runs. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
