import { logPosition, type LogPosition, offset, type Offset, readU48, readU64, writeU48, writeU64 } from './numbers.ts'
import { epoch, type Epoch, partitionNumber, type PartitionNumber, producerId, type ProducerId } from './numbers.ts'
import { topicId, type TopicId } from './numbers.ts'

/**
 * A record, little-endian, as it lies in the log and on the wire. The producer's client writes it once; the broker
 * patches only the words from `fold` up to `topic id`, and a consumer gets the same bytes.
 *
 *     0  u32  length          of the whole record, this field counted
 *     4  u32  crc             CRC-32 of [44, length): all that the producer wrote
 *     8  u32  fold            of the words [12, 44): all that the broker wrote
 *    12  u32  synced back     position − synced position at append (2^32−1 when further)
 *    16  u64  position        byte position in the log
 *    24  u64  offset          in the partition
 *    32  u48  appended at     ms since 1970
 *    38  u16  marks           1 = moved by cleaning, 2 = last record of its run
 *    40  u32  leader epoch
 *    --------------------------------------------------------------- the broker's words end here
 *    44  u32  topic id        0 for records that belong to no topic
 *    48  u16  partition
 *    50  u8   kind
 *    51  u8   attempt         deliveries before this copy
 *    52  u16  flags           value form, and which sections follow
 *    54  u48  producer id     0 when the broker made the record
 *    60  u16  producer epoch
 *    62  u16  run count       records in the run that the producer sent
 *    64  u32  run base        sequence of the run's first record
 *    68  16B  message id      UUIDv7 made by the producer: its ms is the born time
 *    84  u32  tag hash        0 without a tag
 *    88  u32  key hash        0 without a key
 *    92  u32  body length
 *    96       sections in the order of their flags, then the body
 */
export const recordFixedBytes = 96

const at = {
  length: 0,
  crc: 4,
  fold: 8,
  syncedBack: 12,
  position: 16,
  offset: 24,
  appendedAt: 32,
  marks: 38,
  leaderEpoch: 40,
  topicId: 44,
  partition: 48,
  kind: 50,
  attempt: 51,
  flags: 52,
  producerId: 54,
  producerEpoch: 60,
  runCount: 62,
  runBase: 64,
  messageId: 68,
  tagHash: 84,
  keyHash: 88,
  bodyLength: 92,
} as const

/** Where the bytes begin that the crc covers. */
export const crcStart = at.topicId
export const messageIdBytes = 16

/** What a record is. A number is never reused; an unknown one refuses the log by name. */
export const recordKinds = { message: 1, horizon: 32, drop_segment: 33, epoch_start: 34, topic_gone: 35 } as const
export type RecordKind = keyof typeof recordKinds

const kindNames = new Map<number, RecordKind>(
  Object.entries(recordKinds).map(([name, number]) => [number, name as RecordKind]),
)

/** @returns undefined for a kind that this version does not know. */
export function kindName(number: number): RecordKind | undefined {
  return kindNames.get(number)
}

export const marks = { moved: 1, lastOfRun: 2 } as const

/** Bits of `flags`. Bits 0–1 are the value form, bits 2–3 are kept for compression and are 0. */
export const flags = { deliverAt: 1 << 4, tag: 1 << 5, key: 1 << 6, headers: 1 << 7, dedupId: 1 << 8, history: 1 << 9 } as const
export const valueForms = { bytes: 0, text: 1, json: 2 } as const
export const valueFormMask = 0b11

/** Computes CRC-32 (ISO-HDLC, as zlib's) of bytes: a port, so that this folder stays pure. */
export type Checksum = (bytes: Uint8Array) => number

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
    return this.#bytes.subarray(this.#start + at.messageId, this.#start + at.messageId + messageIdBytes)
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
    return length >= recordFixedBytes && length <= limit - this.#start && this.bodyLength <= length - recordFixedBytes
  }

  /** Whether all that the producer wrote is as it was written. Call only when `fits`. */
  crcHolds(crc32: Checksum): boolean {
    return crc32(this.#bytes.subarray(this.#start + crcStart, this.end)) === this.crc
  }

  /** Whether all that the broker patched is as it was patched. Call only when `fits`. */
  foldHolds(): boolean {
    return foldOf(this.#view, this.#start) === this.#view.getUint32(this.#start + at.fold, true)
  }

  /** Writes the broker's words and their fold. */
  patch(placed: Placement): void {
    const start = this.#start
    const view = this.#view
    view.setUint32(start + at.syncedBack, Math.min(placed.position - placed.syncedPosition, 0xffff_ffff), true)
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

/** What the producer's side writes into the fixed part. */
export interface RecordHead {
  readonly length: number
  readonly topicId: TopicId
  readonly partition: PartitionNumber
  readonly kind: RecordKind
  readonly attempt: number
  readonly flags: number
  readonly producerId: ProducerId
  readonly producerEpoch: number
  readonly runCount: number
  readonly runBase: number
  readonly messageId: Uint8Array
  readonly tagHash: number
  readonly keyHash: number
  readonly bodyLength: number
}

/** Writes the fixed part at `start`, the broker's words zero, crc not yet set: see `sealRecord`. */
export function writeRecordHead(view: DataView, start: number, head: RecordHead): void {
  view.setUint32(start + at.length, head.length, true)
  for (let word = at.crc; word < at.topicId; word += 4) view.setUint32(start + word, 0, true)
  view.setUint32(start + at.topicId, head.topicId, true)
  view.setUint16(start + at.partition, head.partition, true)
  view.setUint8(start + at.kind, recordKinds[head.kind])
  view.setUint8(start + at.attempt, head.attempt)
  view.setUint16(start + at.flags, head.flags, true)
  writeU48(view, start + at.producerId, head.producerId)
  view.setUint16(start + at.producerEpoch, head.producerEpoch, true)
  view.setUint16(start + at.runCount, head.runCount, true)
  view.setUint32(start + at.runBase, head.runBase, true)
  new Uint8Array(view.buffer, view.byteOffset + start + at.messageId, messageIdBytes).set(head.messageId)
  view.setUint32(start + at.tagHash, head.tagHash, true)
  view.setUint32(start + at.keyHash, head.keyHash, true)
  view.setUint32(start + at.bodyLength, head.bodyLength, true)
}

/** Names the run that a written record belongs to; the crc must be set again afterwards. */
export function writeRun(
  view: DataView,
  start: number,
  run: { producerId: ProducerId; producerEpoch: number; runCount: number; runBase: number },
): void {
  writeU48(view, start + at.producerId, run.producerId)
  view.setUint16(start + at.producerEpoch, run.producerEpoch, true)
  view.setUint16(start + at.runCount, run.runCount, true)
  view.setUint32(start + at.runBase, run.runBase, true)
}

/** Sets the crc over what the producer wrote. */
export function sealRecord(bytes: Uint8Array, start: number, length: number, crc32: Checksum): void {
  const crc = crc32(bytes.subarray(start + crcStart, start + length))
  new DataView(bytes.buffer, bytes.byteOffset + start, recordFixedBytes).setUint32(at.crc, crc, true)
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
