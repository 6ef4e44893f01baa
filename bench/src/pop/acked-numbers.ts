import { MqError } from '@popmq/client'

/** Which of the messages of a run were acked: each once. It crosses from process to process as text. */
export class AckedNumbers {
  readonly #messages: number
  readonly #isAcked: Uint8Array
  #count = 0

  /** Of a run of so many messages, numbered from 0. */
  constructor(messages: number) {
    this.#messages = messages
    this.#isAcked = new Uint8Array(messages)
  }

  get count(): number {
    return this.#count
  }

  /** @throws MqError `corrupt_record` for one that was acked before, or never sent */
  add(number: number): void {
    if (number >= this.#messages) throw wrong(`message ${number} of ${this.#messages} was acked`)
    if (this.#isAcked[number] === 1) throw wrong(`message ${number} was acked twice`)
    this.#isAcked[number] = 1
    this.#count += 1
  }

  /** Takes over what another process acked. @throws MqError as `add` */
  addAll(encoded: string): void {
    const bits = Buffer.from(encoded, 'base64')
    for (let number = 0; number < bits.length * 8; number += 1) {
      if (((bits[number >>> 3] ?? 0) & (1 << (number & 7))) !== 0) this.add(number)
    }
  }

  /** A bit per message, the lowest one first, as base64. */
  encode(): string {
    const bits = Buffer.alloc(Math.ceil(this.#messages / 8))
    for (const [number, isAcked] of this.#isAcked.entries()) {
      if (isAcked === 1) bits[number >>> 3] = (bits[number >>> 3] ?? 0) | (1 << (number & 7))
    }
    return bits.toString('base64')
  }
}

function wrong(what: string): MqError {
  return new MqError('corrupt_record', what)
}
