import type { Clock } from '@popmq/kit'
import { onAbort } from './aborting.ts'

/** Where somebody waits until something has changed, and looks again. */
export class Progress {
  readonly #clock: Clock
  readonly #waiting = new Set<() => void>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Something changed: whoever waits looks again. */
  made(): void {
    for (const wake of [...this.#waiting]) wake()
  }

  /** Resolves when something changed, after `timeoutMs` (infinite: never by itself), or when `signal` is aborted. */
  wait(timeoutMs: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        timer?.cancel()
        stopListening()
        this.#waiting.delete(wake)
        resolve()
      }
      const timer = Number.isFinite(timeoutMs)
        ? this.#clock.after(Math.max(1, timeoutMs), wake)
        : undefined
      const stopListening = onAbort(signal, wake)
      this.#waiting.add(wake)
    })
  }
}
