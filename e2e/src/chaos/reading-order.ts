import type { Message } from '@popmq/client'
import type { Ledger } from './ledger.ts'
import type { Problems } from './problems.ts'
import { keyOf, nameOf } from './sent-message.ts'

export interface ReadingOrderParts {
  readonly reader: string
  readonly ledger: Ledger
  readonly problems: Problems
  /** partition → the offset that is due first. */
  readonly from: readonly number[]
  /** Whether it is the reading of everything at the end. */
  readonly isLast: boolean
}

/** One reader's way through the partitions: it compares each message with the one before it, and tells the ledger. */
export class ReadingOrder {
  /** partition → the offset that is due next: the offsets that the user keeps. */
  readonly next: number[]
  readonly #parts: ReadingOrderParts
  /** 'partition producer' → the number of its last message there. */
  readonly #last = new Map<string, number>()

  constructor(parts: ReadingOrderParts) {
    this.#parts = parts
    this.next = [...parts.from]
  }

  saw(messages: readonly Message[]): void {
    for (const message of messages) {
      this.#follow(message)
      this.#identify(message)
    }
  }

  #follow({ partition, offset }: Message): void {
    const { reader, problems } = this.#parts
    const due = this.next[partition]
    if (offset !== due)
      problems.tell('gap', `${reader} saw ${partition}@${offset} where ${due} was due`)
    this.next[partition] = offset + 1
  }

  #identify({ partition, offset, value, key }: Message): void {
    const { reader, ledger, problems, isLast } = this.#parts
    const at = { partition, offset }
    const name = nameOf(value)
    if (name === undefined || key !== keyOf(name)) {
      ledger.alien(reader, at, `key ${key}, ${(JSON.stringify(value) ?? '').slice(0, 80)}`)
      return
    }
    if (isLast) ledger.sawLast(name, at)
    else ledger.saw(reader, name, at)
    const lane = `${partition} ${name.producer}`
    const before = this.#last.get(lane)
    if (before !== undefined && before >= name.number) {
      const what = `number ${name.number} of p${name.producer} behind number ${before}`
      problems.tell('disorder', `${reader} saw at ${partition}@${offset} ${what}`)
    }
    this.#last.set(lane, name.number)
  }
}
