import type { Clock, Timer } from '@popmq/kit'
import { MovingDeadline } from './moving-deadline.ts'

export interface PingWatchdogOptions {
  readonly clock: Clock
  readonly sessionMs: number
  /** Sends what the server must answer. */
  readonly ping: () => void
  /** Called once: nothing was heard for two thirds of the session's time. */
  readonly silent: () => void
}

/**
 * Watches one connection: asks every third of the session's time and finds a server silent after two thirds, so that
 * one third is left to reach another. The library asks too, but never misses an answer: a half-open connection stays.
 */
export class PingWatchdog {
  readonly #options: PingWatchdogOptions
  readonly #silence: MovingDeadline
  #timer: Timer

  constructor(options: PingWatchdogOptions) {
    this.#options = options
    this.#silence = new MovingDeadline(options.clock, () => {
      this.#timer.cancel()
      options.silent()
    })
    this.#timer = this.#nextPing()
    this.heard()
  }

  heard(): void {
    const { clock, sessionMs } = this.#options
    this.#silence.moveTo(clock.monotonic() + (sessionMs * 2) / 3)
  }

  stop(): void {
    this.#silence.stop()
    this.#timer.cancel()
  }

  #nextPing(): Timer {
    const { clock, sessionMs, ping } = this.#options
    return clock.after(sessionMs / 3, () => {
      this.#timer = this.#nextPing()
      ping()
    })
  }
}
