import type { Clock, Timer } from '@popmq/kit'

/**
 * A deadline that what is heard moves on. When it is reached, the process gets one more turn: after it stood still, what
 * was heard meanwhile waits behind the timers.
 * States: idle → running (from the first move) → reached | stopped
 */
export class MovingDeadline {
  readonly #clock: Clock
  readonly #reached: () => void
  #atMs = Number.NEGATIVE_INFINITY
  #timer: Timer | undefined
  #isOver = false

  constructor(clock: Clock, reached: () => void) {
    this.#clock = clock
    this.#reached = reached
  }

  /** Moves it on to `atMs` of the monotonic clock, never back. */
  moveTo(atMs: number): void {
    this.#atMs = Math.max(this.#atMs, atMs)
    if (this.#timer === undefined && !this.#isOver) this.#wait()
  }

  stop(): void {
    this.#isOver = true
    this.#timer?.cancel()
  }

  #wait(): void {
    const leftMs = this.#atMs - this.#clock.monotonic()
    this.#timer = this.#clock.after(leftMs, () => {
      if (this.#atMs > this.#clock.monotonic()) return this.#wait()
      this.#timer = this.#clock.after(oneTurnMs, () => this.#decide())
    })
  }

  #decide(): void {
    if (this.#atMs > this.#clock.monotonic()) return this.#wait()
    this.stop()
    this.#reached()
  }
}

const oneTurnMs = 1
