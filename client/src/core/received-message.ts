import { bornAt, decodeValue, formatMessageId, type MessageSections } from '@popmq/protocol'
import { readSections, type RecordView } from '@popmq/protocol'
import type { Message } from '../api/message.ts'

/** What the messages of one reply share. */
export interface MessageSource {
  readonly topic: string
  readonly partition: number
  /** The records of one partition, side by side. */
  readonly bytes: Uint8Array
  /** Moved to whichever record is asked for. */
  readonly view: RecordView
}

const noHeaders: Readonly<Record<string, string>> = Object.freeze({})

/** A record as a message. Holds where it lies and its offset; everything else is read from the bytes when asked for. */
export class ReceivedMessage implements Message {
  readonly #source: MessageSource
  readonly #start: number
  readonly offset: number
  #sections: MessageSections | undefined

  /** `start` is where its record starts in the source's bytes; the record was verified. */
  constructor(source: MessageSource, start: number, offset: number) {
    this.#source = source
    this.#start = start
    this.offset = offset
  }

  get topic(): string {
    return this.#source.topic
  }
  get partition(): number {
    return this.#source.partition
  }
  get id(): string {
    return formatMessageId(this.#record.messageId)
  }
  get key(): string | undefined {
    return this.#read().key
  }
  get tag(): string | undefined {
    return this.#read().tag
  }
  get headers(): Readonly<Record<string, string>> {
    return this.#read().headers ?? noHeaders
  }
  get dedupId(): string | undefined {
    return this.#read().dedupId
  }
  get value(): unknown {
    const record = this.#record
    return decodeValue(record.flags, record.body)
  }
  get bytes(): Uint8Array {
    return this.#record.body
  }
  get appendedAt(): number {
    return this.#record.appendedAt
  }
  get bornAt(): number {
    return bornAt(this.#record.messageId)
  }
  get attempt(): number {
    return this.#record.attempt + 1
  }

  get #record(): RecordView {
    return this.#source.view.move(this.#source.bytes, this.#start)
  }

  #read(): MessageSections {
    this.#sections ??= readSections(this.#record)
    return this.#sections
  }
}
