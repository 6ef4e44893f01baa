import type { Clock, Timer } from '@popmq/kit'

/** What can be asked for a sign of life. */
export interface Beating {
  beat(): void
}

/** Beats everything it watches every `intervalMs`, by one timer however many there are. */
export class Heartbeat<T extends Beating = Beating> {
  readonly #clock: Clock
  readonly #intervalMs: number
  readonly #watched = new Set<T>()
  #timer: Timer | undefined

  constructor(clock: Clock, intervalMs: number) {
    this.#clock = clock
    this.#intervalMs = intervalMs
  }

  /** All that it beats. */
  get watched(): Iterable<T> {
    return this.#watched
  }

  watch(beating: T): void {
    this.#watched.add(beating)
    this.#timer ??= this.#next()
  }

  unwatch(beating: T): void {
    this.#watched.delete(beating)
    if (this.#watched.size > 0) return
    this.#timer?.cancel()
    this.#timer = undefined
  }

  #next(): Timer {
    return this.#clock.after(this.#intervalMs, () => {
      this.#timer = this.#next()
      for (const beating of [...this.#watched]) beating.beat()
    })
  }
}
