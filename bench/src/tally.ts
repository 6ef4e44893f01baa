import { MqError } from '@popmq/client'

/** Writes the number of a message into the front of its value, u32 little-endian. */
export function writeNumber(value: Uint8Array, number: number): void {
  value[0] = number
  value[1] = number >>> 8
  value[2] = number >>> 16
  value[3] = number >>> 24
}

/** The number in the front of a value of at least `leastSizeBytes`. */
export function readNumber(value: Uint8Array): number {
  return (
    ((value[0] ?? 0) |
      ((value[1] ?? 0) << 8) |
      ((value[2] ?? 0) << 16) |
      ((value[3] ?? 0) << 24)) >>>
    0
  )
}

/** Checks what a consumer gets: every message once, whole, in order within its partition. */
export class Tally {
  readonly #expected: number
  readonly #sizeBytes: number
  readonly #seen: Uint8Array
  readonly #last: Int32Array
  #received = 0

  constructor(of: { messages: number; sizeBytes: number; partitions: number }) {
    this.#expected = of.messages
    this.#sizeBytes = of.sizeBytes
    this.#seen = new Uint8Array(of.messages)
    this.#last = new Int32Array(of.partitions).fill(-1)
  }

  get isComplete(): boolean {
    return this.#received === this.#expected
  }

  /** @throws MqError `corrupt_record` for what no producer of this run sent, or sent earlier */
  take(value: Uint8Array, partition: number): void {
    if (value.length !== this.#sizeBytes)
      throw wrong(`a value of ${value.length} bytes, ${this.#sizeBytes} were sent`)
    const number = readNumber(value)
    if (number >= this.#expected) throw wrong(`message ${number} of ${this.#expected}`)
    if (this.#seen[number] === 1) throw wrong(`message ${number} came twice`)
    if (number <= (this.#last[partition] ?? -1))
      throw wrong(`message ${number} came out of order in partition ${partition}`)
    this.#seen[number] = 1
    this.#last[partition] = number
    this.#received += 1
  }
}

function wrong(what: string): MqError {
  return new MqError('corrupt_record', `the consumer got ${what}`)
}
