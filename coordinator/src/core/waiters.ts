import type { Clock } from '@popmq/kit'

export interface Wait {
  /** How long at most, in ms. */
  readonly withinMs: number
  /** Called with what ends the wait early, when the one who waits has gone. */
  readonly onGone?: (leave: () => void) => void
}

interface Waiter {
  readonly isReady: () => boolean
  readonly end: (isReady: boolean) => void
}

/** Held requests that wait until something about the state is so. */
export class Waiters {
  readonly #clock: Clock
  readonly #waiting = new Set<Waiter>()
  #isClosed = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get size(): number {
    return this.#waiting.size
  }

  /** Waits until `isReady()`, which is asked now and at each `wake`. @returns whether it was so in time */
  until(isReady: () => boolean, { withinMs, onGone }: Wait): Promise<boolean> {
    if (isReady()) return Promise.resolve(true)
    if (this.#isClosed) return Promise.resolve(false)
    return new Promise((resolve) => {
      const waiter: Waiter = {
        isReady,
        end: (ready) => {
          timer.cancel()
          this.#waiting.delete(waiter)
          resolve(ready)
        },
      }
      const timer = this.#clock.after(withinMs, () => waiter.end(isReady()))
      this.#waiting.add(waiter)
      onGone?.(() => waiter.end(isReady()))
    })
  }

  /** The state has changed: ends the waits for which it is so now. */
  wake(): void {
    for (const waiter of [...this.#waiting]) if (waiter.isReady()) waiter.end(true)
  }

  /** Ends every wait, and those to come at once. */
  close(): void {
    this.#isClosed = true
    for (const waiter of [...this.#waiting]) waiter.end(waiter.isReady())
  }
}
