import type { PreparedMessage } from './message.ts'
import {
  type PartitionNumber,
  type ProducerId,
  type TopicId,
  writeU48,
  writeU64,
} from './numbers.ts'
import {
  crcStart,
  messageIdBytes,
  recordFields as at,
  recordFixedBytes,
  type RecordKind,
  recordKinds,
} from './record-layout.ts'
import type { Checksum } from './record.ts'
import { writeText } from './utf8.ts'

/** The run that a record belongs to. */
export interface RunOfRecord {
  /** 0: the broker, or a producer that asks for no protection against sending twice. */
  readonly producerId: ProducerId
  readonly producerEpoch: number
  /** Records in the run, 1 to 65,535. */
  readonly runCount: number
  /** Sequence of the run's first record. */
  readonly runBase: number
}

/** What a record's fixed part says beyond what its message tells. */
export interface RecordHead extends RunOfRecord {
  readonly topicId: TopicId
  readonly partition: PartitionNumber
  readonly kind: RecordKind
  /** 16 bytes. */
  readonly messageId: Uint8Array
}

/**
 * Writes records into a buffer, as a producer's client does: `message`, then `run` if that was not known yet, then `seal`.
 * One writer serves a whole buffer, so per record nothing is allocated.
 */
export class RecordWriter {
  readonly #bytes: Uint8Array
  readonly #view: DataView

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  /** Writes the record of `message` at `start`: the broker's words zero, the crc not yet set. @returns the position behind it */
  message(start: number, message: PreparedMessage, head: RecordHead): number {
    const view = this.#view
    view.setUint32(start + at.length, message.recordBytes, true)
    for (let word = start + at.crc; word < start + at.topicId; word += 4)
      view.setUint32(word, 0, true)
    view.setUint32(start + at.topicId, head.topicId, true)
    view.setUint16(start + at.partition, head.partition, true)
    view.setUint8(start + at.kind, recordKinds[head.kind])
    view.setUint8(start + at.attempt, 0)
    view.setUint16(start + at.flags, message.flags, true)
    this.run(start, head)
    const bytes = this.#bytes
    const id = start + at.messageId
    for (let index = 0; index < messageIdBytes; index += 1)
      bytes[id + index] = head.messageId[index] ?? 0
    view.setUint32(start + at.tagHash, message.tagHash, true)
    view.setUint32(start + at.keyHash, message.keyHash, true)
    view.setUint32(start + at.bodyLength, message.body.length, true)
    const bodyStart = this.#sections(start + recordFixedBytes, message)
    bytes.set(message.body, bodyStart)
    return bodyStart + message.body.length
  }

  /** Names the run of the record at `start`. */
  run(start: number, { producerId, producerEpoch, runCount, runBase }: RunOfRecord): void {
    const view = this.#view
    writeU48(view, start + at.producerId, producerId)
    view.setUint16(start + at.producerEpoch, producerEpoch, true)
    view.setUint16(start + at.runCount, runCount, true)
    view.setUint32(start + at.runBase, runBase, true)
  }

  /** Sets the crc of the record at `start` over all that the producer wrote. @returns the position behind it */
  seal(start: number, crc32: Checksum): number {
    const end = start + this.#view.getUint32(start + at.length, true)
    this.#view.setUint32(start + at.crc, crc32(this.#bytes, start + crcStart, end), true)
    return end
  }

  #sections(start: number, message: PreparedMessage): number {
    const { deliverAt, tag, key, headers, dedupId, history, delayMs, source } = message
    let end = start
    if (deliverAt !== undefined) end = this.#time(end, deliverAt)
    if (tag !== undefined) end = this.#text(end, tag)
    if (key !== undefined) end = this.#text(end, key)
    if (headers !== undefined) {
      this.#view.setUint32(end, headers.length, true)
      this.#bytes.set(headers, end + 4)
      end += 4 + headers.length
    }
    if (dedupId !== undefined) end = this.#text(end, dedupId)
    if (history !== undefined) {
      this.#view.setUint32(end, history.length, true)
      this.#bytes.set(history, end + 4)
      end += 4 + history.length
    }
    if (delayMs !== undefined) end = this.#time(end, delayMs)
    if (source === undefined) return end
    this.#view.setUint16(end, source.length, true)
    this.#bytes.set(source, end + 2)
    return end + 2 + source.length
  }

  #time(start: number, timeMs: number): number {
    writeU64(this.#view, start, timeMs)
    return start + 8
  }

  #text(start: number, text: string): number {
    const end = writeText(text, this.#bytes, start + 2)
    this.#view.setUint16(start, end - start - 2, true)
    return end
  }
}
