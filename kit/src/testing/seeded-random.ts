import type { Random } from '../random.ts'

/** The same numbers for the same seed: mulberry32 (Tommy Ettinger, public domain), fit for simulation only. */
export class SeededRandom implements Random {
  #state: number

  constructor(seed: number) {
    this.#state = seed >>> 0
  }

  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let word = this.#state
    word = Math.imul(word ^ (word >>> 15), word | 1)
    word ^= word + Math.imul(word ^ (word >>> 7), word | 61)
    return ((word ^ (word >>> 14)) >>> 0) / 0x1_0000_0000
  }

  fill(target: Uint8Array): Uint8Array {
    for (let at = 0; at < target.length; at += 1) target[at] = Math.floor(this.next() * 256)
    return target
  }

  /** A stream of its own, so that drawing from one does not shift another. */
  fork(): SeededRandom {
    return new SeededRandom(Math.floor(this.next() * 0x1_0000_0000))
  }
}
