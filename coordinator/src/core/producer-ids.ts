import { assert } from '@popmq/kit'
import type { Change, Leadership } from './leadership.ts'

/** How many ids one registry write takes. Those not given before a stop are never given. */
export const producerIdBlock = 1_000

interface Block extends Change {
  readonly first: number
  readonly last: number
}

/** Gives producer ids from blocks that the registry has marked as taken, so no restart gives one twice. */
export class ProducerIds {
  readonly #leadership: Leadership
  #next = 1
  #last = 0
  #taking: Promise<unknown> | undefined

  constructor(leadership: Leadership) {
    this.#leadership = leadership
  }

  /** An id that was never given before. @throws MqError those of a write */
  async next(): Promise<number> {
    while (this.#next > this.#last) {
      this.#taking ??= this.#takeBlock()
      await this.#taking
    }
    this.#next += 1
    return this.#next - 1
  }

  async #takeBlock(): Promise<void> {
    try {
      await this.#leadership.write(
        () => this.#prepareBlock(),
        ({ first, last }) => {
          this.#next = first
          this.#last = last
        },
      )
    } finally {
      this.#taking = undefined
    }
  }

  #prepareBlock(): Block {
    const { producerId } = this.#leadership.counters
    const last = producerId + producerIdBlock
    assert(last < 2 ** 48, 'producer ids fit in 48 bits')
    return { ops: [], counters: { producerId: last }, first: producerId + 1, last }
  }
}
