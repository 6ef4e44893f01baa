import type { Random } from './random.ts'

/** Waits between tries: doubling from `firstMs` to `mostMs`, with full jitter so that a crowd does not return together. */
export class Backoff {
  readonly #random: Random
  readonly #firstMs: number
  readonly #mostMs: number
  #tries = 0

  constructor(random: Random, { firstMs, mostMs }: { firstMs: number; mostMs: number }) {
    this.#random = random
    this.#firstMs = firstMs
    this.#mostMs = mostMs
  }

  /** How long to wait before the next try, in ms. */
  nextMs(): number {
    const ceiling = Math.min(this.#mostMs, this.#firstMs * 2 ** Math.min(this.#tries, 30))
    this.#tries += 1
    return ceiling / 2 + (this.#random.next() * ceiling) / 2
  }

  reset(): void {
    this.#tries = 0
  }
}
