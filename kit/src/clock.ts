/** A pending callback of a clock. Cancelling one that has run, or twice, does nothing. */
export interface Timer {
  cancel(): void
}

/**
 * Time as an argument. Durations are measured on `monotonic`; `now` is for display and for times that users name.
 * The simulated clock is in `@popmq/kit/testing`.
 */
export interface Clock {
  /** Wall clock: ms since 1970, may jump. */
  now(): number
  /** Ms since an arbitrary start, with fractions; never goes back. */
  monotonic(): number
  /** Calls `callback` once, no earlier than `delayMs` from now. */
  after(delayMs: number, callback: () => void): Timer
}

/** setTimeout counts in a signed 32-bit ms; a longer delay would fire at once. */
const longestTimeoutMs = 2_147_483_647

/** The clock of the machine. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(delayMs, callback) {
    const handle = setTimeout(callback, Math.min(Math.max(delayMs, 0), longestTimeoutMs))
    return { cancel: () => clearTimeout(handle) }
  },
}

/** Resolves after `delayMs`, or at once when `signal` is aborted: waiting is not work that can fail. */
export function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted === true) return resolve()
    const wake = (): void => {
      timer.cancel()
      signal?.removeEventListener('abort', wake)
      resolve()
    }
    const timer = clock.after(delayMs, wake)
    signal?.addEventListener('abort', wake, { once: true })
  })
}
