import {
  logPosition,
  type LogPosition,
  offset,
  type Offset,
  readU48,
  readU64,
  writeU48,
  writeU64,
} from './numbers.ts'
import {
  epoch,
  type Epoch,
  partitionNumber,
  type PartitionNumber,
  producerId,
  type ProducerId,
} from './numbers.ts'
import { topicId, type TopicId } from './numbers.ts'
import { crcStart, messageIdBytes, recordFields as at, recordFixedBytes } from './record-layout.ts'

/** Computes CRC-32 (ISO-HDLC, as zlib's) of the bytes [start, end): a port, so that this folder stays pure. */
export type Checksum = (bytes: Uint8Array, start: number, end: number) => number

/**
 * The record at `start` of `bytes`, field by field, read in place. One instance may be moved over many records: per
 * record nothing is allocated. `check` must have said that the record is whole before fields are trusted.
 */
export class RecordView {
  #bytes: Uint8Array
  #view: DataView
  #start = 0

  constructor(bytes: Uint8Array = new Uint8Array(0)) {
    this.#bytes = bytes
    this.#view = viewOf(bytes)
  }

  /** Moves to the record at `start` of `bytes`. */
  move(bytes: Uint8Array, start: number): this {
    if (bytes !== this.#bytes) {
      this.#bytes = bytes
      this.#view = viewOf(bytes)
    }
    this.#start = start
    return this
  }

  get bytes(): Uint8Array {
    return this.#bytes
  }
  get start(): number {
    return this.#start
  }
  get end(): number {
    return this.#start + this.length
  }
  get length(): number {
    return this.#view.getUint32(this.#start + at.length, true)
  }
  get crc(): number {
    return this.#view.getUint32(this.#start + at.crc, true)
  }
  get syncedBack(): number {
    return this.#view.getUint32(this.#start + at.syncedBack, true)
  }
  get position(): LogPosition {
    return logPosition(readU64(this.#view, this.#start + at.position))
  }
  get offset(): Offset {
    return offset(readU64(this.#view, this.#start + at.offset))
  }
  get appendedAt(): number {
    return readU48(this.#view, this.#start + at.appendedAt)
  }
  get marks(): number {
    return this.#view.getUint16(this.#start + at.marks, true)
  }
  get leaderEpoch(): Epoch {
    return epoch(this.#view.getUint32(this.#start + at.leaderEpoch, true))
  }
  get topicId(): TopicId {
    return topicId(this.#view.getUint32(this.#start + at.topicId, true))
  }
  get partition(): PartitionNumber {
    return partitionNumber(this.#view.getUint16(this.#start + at.partition, true))
  }
  get kind(): number {
    return this.#view.getUint8(this.#start + at.kind)
  }
  get attempt(): number {
    return this.#view.getUint8(this.#start + at.attempt)
  }
  get flags(): number {
    return this.#view.getUint16(this.#start + at.flags, true)
  }
  get producerId(): ProducerId {
    return producerId(readU48(this.#view, this.#start + at.producerId))
  }
  get producerEpoch(): number {
    return this.#view.getUint16(this.#start + at.producerEpoch, true)
  }
  get runCount(): number {
    return this.#view.getUint16(this.#start + at.runCount, true)
  }
  get runBase(): number {
    return this.#view.getUint32(this.#start + at.runBase, true)
  }
  /** A view of the 16 bytes of the message id. */
  get messageId(): Uint8Array {
    return this.#bytes.subarray(
      this.#start + at.messageId,
      this.#start + at.messageId + messageIdBytes,
    )
  }
  get tagHash(): number {
    return this.#view.getUint32(this.#start + at.tagHash, true)
  }
  get keyHash(): number {
    return this.#view.getUint32(this.#start + at.keyHash, true)
  }
  get bodyLength(): number {
    return this.#view.getUint32(this.#start + at.bodyLength, true)
  }
  /** A view of the body. */
  get body(): Uint8Array {
    return this.#bytes.subarray(this.end - this.bodyLength, this.end)
  }

  /** Whether a whole record of a possible length starts here and ends by `limit`. Says nothing of its content. */
  fits(limit: number): boolean {
    if (limit - this.#start < recordFixedBytes) return false
    const length = this.length
    return (
      length >= recordFixedBytes &&
      length <= limit - this.#start &&
      this.bodyLength <= length - recordFixedBytes
    )
  }

  /** Whether all that the producer wrote is as it was written. Call only when `fits`. */
  crcHolds(crc32: Checksum): boolean {
    return crc32(this.#bytes, this.#start + crcStart, this.end) === this.crc
  }

  /** Whether all that the broker patched is as it was patched. Call only when `fits`. */
  foldHolds(): boolean {
    return foldOf(this.#view, this.#start) === this.#view.getUint32(this.#start + at.fold, true)
  }

  /** Writes the broker's words and their fold. */
  patch(placed: Placement): void {
    const start = this.#start
    const view = this.#view
    view.setUint32(
      start + at.syncedBack,
      Math.min(placed.position - placed.syncedPosition, 0xffff_ffff),
      true,
    )
    writeU64(view, start + at.position, placed.position)
    writeU64(view, start + at.offset, placed.offset)
    writeU48(view, start + at.appendedAt, placed.appendedAt)
    view.setUint16(start + at.marks, placed.marks, true)
    view.setUint32(start + at.leaderEpoch, placed.leaderEpoch, true)
    view.setUint32(start + at.fold, foldOf(view, start), true)
  }
}

/** What the broker decides of a record when it appends it. */
export interface Placement {
  position: LogPosition
  offset: Offset
  appendedAt: number
  marks: number
  leaderEpoch: Epoch
  syncedPosition: LogPosition
}

/**
 * 32-bit fold of the broker's eight words. Each step is a bijection of the word and of the running value, so a change
 * in any one word always shows. About 10 ns.
 */
function foldOf(view: DataView, start: number): number {
  let fold = 0x9e3779b9
  for (let word = at.syncedBack; word < at.topicId; word += 4) {
    fold = Math.imul(fold ^ view.getUint32(start + word, true), 0x85ebca6b)
    fold ^= fold >>> 15
  }
  return fold >>> 0
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
