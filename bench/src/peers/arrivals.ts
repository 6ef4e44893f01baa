import { AckedNumbers } from '../pop/acked-numbers.ts'
import { readNumber, Tally } from '../tally.ts'

/** Checks what a peer's consumer gets: every message once, and in order where the peer keeps it. */
export class Arrivals {
  readonly #tally: Tally
  readonly #once: AckedNumbers
  readonly #messages: number
  readonly #isOrdered: boolean

  constructor(of: { messages: number; sizeBytes: number; streams: number; isOrdered: boolean }) {
    this.#tally = new Tally({ ...of, partitions: of.streams })
    this.#once = new AckedNumbers(of.messages)
    this.#messages = of.messages
    this.#isOrdered = of.isOrdered
  }

  /** Returns whether it was the last. @throws MqError `corrupt_record` */
  take(value: Uint8Array, stream: number): boolean {
    if (this.#isOrdered) {
      this.#tally.take(value, stream)
      return this.#tally.isComplete
    }
    this.#once.add(readNumber(value))
    return this.#once.count === this.#messages
  }
}
