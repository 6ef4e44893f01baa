import { assert } from '@popmq/kit'
import { type AckLevel, type Checksum, limits, type MqError } from '@popmq/protocol'
import {
  type PartitionNumber,
  type PreparedMessage,
  producerId,
  type ProducerId,
} from '@popmq/protocol'
import {
  messageIdBytes,
  recordFixedBytes,
  type RecordHead,
  RecordWriter,
  type TopicId,
} from '@popmq/protocol'

/** Where the records of a run go. */
export interface RunTarget {
  readonly topicId: TopicId
  readonly partition: PartitionNumber
  /** All records of a run are of one kind. */
  readonly kind: 'message' | 'delayed'
}

/** Who is told what becomes of a record. Each record of a run is told exactly once, by `acked` or `failed`. */
export interface RecordOwner {
  /** The ids of its messages, 16 bytes each, by slot. */
  readonly ids: Uint8Array
  /** When the delivery of its messages ends, on the monotonic clock. */
  readonly expiresAt: number
  /** `slot` is the number that the owner gave the record. */
  acked(slot: number, place: RecordPlace, offset: number): void
  failed(slot: number, error: MqError): void
}

/** Where records lie, but for their offsets: the same for all of a run that were appended together. */
export interface RecordPlace {
  readonly topic: string
  readonly partition: number
  /** The replica set that holds the partition. */
  readonly set: number
  readonly appendedAt: number
  readonly level: AckLevel
  readonly isDuplicate: boolean
}

/** A number for a run: `base` is the sequence of its first record. */
export interface RunNumber {
  readonly producerId: ProducerId
  readonly producerEpoch: number
  readonly base: number
}

/** One message on its way into a run. */
export interface RunRecord {
  readonly message: PreparedMessage
  readonly owner: RecordOwner
  /** What the owner calls it. */
  readonly slot: number
}

const noProducer = producerId(0)
/** The id of the record that is being written: a view for each would cost more than the copy. */
const lentId = new Uint8Array(messageIdBytes)

/**
 * The records of one request for one partition, written once in their final form. Records are added; then the run is
 * numbered, which fills in what was not known and seals each record. Numbering again is allowed only when it is certain
 * that it was not and will not be appended under the old number.
 */
export class Run {
  readonly target: RunTarget
  readonly #owners: RecordOwner[] = []
  readonly #slots: number[] = []
  #buffer: Uint8Array
  #writer: RecordWriter
  #bytes = 0
  /** The same for each record until the run is numbered; the id lies in `lentId`. */
  readonly #head: RecordHead
  #number: RunNumber | undefined
  /** When the delivery of its first record ends, on the monotonic clock. */
  readonly expiresAt: number
  /** The last reason why it was not acknowledged. */
  lastError: MqError | undefined

  constructor(target: RunTarget, expiresAt: number, roomBytes: number) {
    this.target = target
    this.#head = {
      topicId: target.topicId,
      partition: target.partition,
      kind: target.kind,
      producerId: noProducer,
      producerEpoch: 0,
      runCount: 0,
      runBase: 0,
      messageId: lentId,
    }
    this.expiresAt = expiresAt
    this.#buffer = new Uint8Array(roomBytes)
    this.#writer = new RecordWriter(this.#buffer)
  }

  get count(): number {
    return this.#owners.length
  }

  get recordBytes(): number {
    return this.#bytes
  }

  /** The records, side by side: a view that does not change once numbered. */
  get bytes(): Uint8Array {
    return this.#buffer.subarray(0, this.#bytes)
  }

  get number(): RunNumber | undefined {
    return this.#number
  }

  add({ message, owner, slot }: RunRecord): void {
    assert(this.#number === undefined, 'no record joins a run that is numbered')
    assert(this.count < limits.messagesPerRun, 'a run is numbered in 16 bits')
    this.#makeRoom(message.recordBytes)
    const idStart = slot * messageIdBytes
    for (let at = 0; at < messageIdBytes; at += 1) lentId[at] = owner.ids[idStart + at] ?? 0
    this.#bytes = this.#writer.message(this.#bytes, message, this.#head)
    this.#owners.push(owner)
    this.#slots.push(slot)
  }

  /** Names the run in each of its records and seals them. */
  seal(number: RunNumber, crc32: Checksum): void {
    // What was sent may still lie in a send buffer: other bytes need another place.
    if (this.#number !== undefined) this.#moveTo(this.#bytes)
    this.#number = number
    const run = { ...number, runCount: this.count, runBase: number.base }
    for (let at = 0; at < this.#bytes;) {
      this.#writer.run(at, run)
      at = this.#writer.seal(at, crc32)
    }
  }

  /** Calls `tell` for each record, in order: it tells the owner of record `slot` where the record lies. */
  acked(tell: (owner: RecordOwner, slot: number, index: number) => void): void {
    this.#owners.forEach((owner, index) => tell(owner, this.#slots[index] ?? 0, index))
  }

  failed(error: MqError): void {
    this.#owners.forEach((owner, index) => owner.failed(this.#slots[index] ?? 0, error))
  }

  #makeRoom(recordBytes: number): void {
    const needed = this.#bytes + recordBytes
    if (needed > this.#buffer.length) this.#moveTo(Math.max(needed, 2 * this.#buffer.length))
  }

  #moveTo(roomBytes: number): void {
    const bytes = this.bytes
    this.#buffer = new Uint8Array(roomBytes)
    this.#buffer.set(bytes)
    this.#writer = new RecordWriter(this.#buffer)
  }
}

/** A hint for the buffer of a partition's first run. */
export const smallestRunBytes = 4 * recordFixedBytes
