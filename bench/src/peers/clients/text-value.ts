/** Values as text, for peers whose clients are at their best with it: the number in front, then filling. */
import { MqError } from '@popmq/client'
import { writeNumber } from '../../tally.ts'

const base = 36
const mostDigits = 6

/** @throws MqError `invalid_request` for a number that a value of this size cannot hold */
export function textValue(number: number, sizeBytes: number): string {
  const digits = digitsOf(sizeBytes)
  const text = number.toString(base).padStart(digits, '0')
  if (text.length > digits)
    throw new MqError('invalid_request', `a value of ${sizeBytes} bytes cannot hold ${number}`)
  return text + filling(sizeBytes - digits)
}

/** Turns text back into the bytes that the other peers send: one buffer, filled again and again. */
export class TextReader {
  readonly #value: Buffer

  constructor(sizeBytes: number) {
    this.#value = Buffer.alloc(sizeBytes)
  }

  /** The result is good until the next one. @throws MqError `corrupt_record` for text of another size */
  read(text: string): Uint8Array {
    const { length } = this.#value
    if (text.length !== length)
      throw new MqError('corrupt_record', `a text of ${text.length} bytes, ${length} were sent`)
    writeNumber(this.#value, parseInt(text.slice(0, digitsOf(length)), base))
    return this.#value
  }

  /** As `read`, in bytes of its own. */
  readCopy(text: string): Uint8Array {
    return Uint8Array.from(this.read(text))
  }
}

function digitsOf(sizeBytes: number): number {
  return Math.min(mostDigits, sizeBytes)
}

let filled = ''

function filling(length: number): string {
  if (filled.length !== length) filled = 'a'.repeat(length)
  return filled
}
