import { type Checksum, isMqError, kindName, MqError, quoted, RecordView } from '@popmq/protocol'
import { tagHash, type TopicId } from '@popmq/protocol'
import { type MessageSource, ReceivedMessage } from './received-message.ts'

/** Exactly the tags wanted, with the hashes by which a broker looks for them. */
export interface TagFilter {
  readonly tags: ReadonlySet<string>
  readonly hashes: ReadonlySet<number>
}

export function tagFilter(tags: readonly string[]): TagFilter {
  return { tags: new Set(tags), hashes: new Set(tags.map(tagHash)) }
}

export interface RecordReaderDeps {
  readonly crc32: Checksum
  /** Absent: all messages. */
  readonly filter: TagFilter | undefined
}

export interface FetchedRecords {
  readonly topic: string
  readonly topicId: TopicId
  readonly partition: number
  readonly bytes: Uint8Array
  /** The offset that was asked for: what lies below was delivered before. */
  readonly from: number
  /** Where to read on behind them. */
  readonly next: number
}

/**
 * Reads the records of one partition, in order, verifying each. Offsets must grow; one that was read before is dropped,
 * and what is no message or has another tag is passed over.
 */
export class RecordReader {
  readonly #deps: RecordReaderDeps
  readonly #records: FetchedRecords
  readonly #source: MessageSource
  #at = 0
  #position: number

  constructor(records: FetchedRecords, deps: RecordReaderDeps) {
    this.#deps = deps
    this.#records = records
    const { topic, partition, bytes } = records
    this.#source = { topic, partition, bytes, view: new RecordView(bytes) }
    this.#position = records.from
  }

  get bytes(): number {
    return this.#records.bytes.length
  }

  /** The offset to read on at: behind the last record read. */
  get position(): number {
    return this.isDone ? this.#records.next : this.#position
  }

  get isDone(): boolean {
    return this.#at >= this.#records.bytes.length
  }

  /**
   * Adds up to `most` messages to `into`.
   * @returns `corrupt_record` when the next one is not as it was written; those before it were added
   */
  read(into: ReceivedMessage[], most: number): MqError | undefined {
    const { bytes, view } = this.#source
    const end = into.length + most
    while (into.length < end && this.#at < bytes.length) {
      const record = view.move(bytes, this.#at)
      const why = this.#whyCorrupt(record)
      if (why !== undefined) return this.#corrupt(why, this.#position)
      const { offset, length } = record
      if (offset >= this.#position) {
        try {
          if (this.#isWanted(record)) into.push(new ReceivedMessage(this.#source, this.#at, offset))
        } catch (error) {
          if (isMqError(error)) return this.#corrupt(error.what, offset)
          throw error
        }
        this.#position = offset + 1
      }
      this.#at += length
    }
    return undefined
  }

  #whyCorrupt(record: RecordView): string | undefined {
    if (!record.fits(this.#records.bytes.length)) return 'it does not end within the reply'
    if (!record.foldHolds()) return 'the words that the broker wrote were changed'
    if (!record.crcHolds(this.#deps.crc32)) return 'the bytes that its producer wrote were changed'
    const { topicId, partition } = this.#records
    if (record.topicId !== topicId || record.partition !== partition) {
      return 'it belongs to another partition'
    }
    return undefined
  }

  #isWanted(record: RecordView): boolean {
    if (kindName(record.kind) !== 'message') return false
    const { filter } = this.#deps
    if (filter === undefined) return true
    if (!filter.hashes.has(record.tagHash)) return false
    const { tag } = new ReceivedMessage(this.#source, record.start, record.offset)
    return tag !== undefined && filter.tags.has(tag)
  }

  #corrupt(why: string, offset: number): MqError {
    const { topic, partition } = this.#records
    const what = `the record at offset ${offset} of partition ${partition} of topic ${quoted(topic)} is corrupt: ${why}`
    return new MqError('corrupt_record', what, { facts: { topic, partition, offset } })
  }
}
