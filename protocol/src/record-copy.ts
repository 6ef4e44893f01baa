import { type PartitionNumber, type TopicId, writeU48, writeU64 } from './numbers.ts'
import {
  crcStart,
  flags,
  recordFields as at,
  recordFixedBytes,
  type RecordKind,
  recordKinds,
} from './record-layout.ts'
import type { Checksum, RecordView } from './record.ts'

/** What differs in a copy that the broker makes of a message: all else, id, key, headers and value, stays. */
export interface CopyHead {
  readonly kind: RecordKind
  readonly topicId: TopicId
  readonly partition: PartitionNumber
  /** Deliveries before this copy; more than 255 are written as 255, the source tells them all. */
  readonly attempt: number
  /** When a held copy is due, in ms since 1970. */
  readonly deliverAt?: number
  readonly history?: Uint8Array
  readonly source: Uint8Array
}

/**
 * The bytes of a copy of a whole record, a run of its own, ready to be appended. Times, history and source of the
 * original are not taken over: the copy has those of its head, or none.
 */
export function copyRecord(original: RecordView, head: CopyHead, crc32: Checksum): Uint8Array {
  const kept = keptSections(original)
  const { deliverAt, history, source } = head
  const length =
    recordFixedBytes +
    (deliverAt === undefined ? 0 : 8) +
    kept.length +
    (history === undefined ? 0 : 4 + history.length) +
    2 +
    source.length +
    original.bodyLength
  const bytes = new Uint8Array(length)
  const view = new DataView(bytes.buffer)
  bytes.set(original.bytes.subarray(original.start, original.start + recordFixedBytes))
  writeHead(view, { original, head, length })
  let end = recordFixedBytes
  if (deliverAt !== undefined) {
    writeU64(view, end, deliverAt)
    end += 8
  }
  bytes.set(kept, end)
  end += kept.length
  if (history !== undefined) {
    view.setUint32(end, history.length, true)
    bytes.set(history, end + 4)
    end += 4 + history.length
  }
  view.setUint16(end, source.length, true)
  bytes.set(source, end + 2)
  bytes.set(original.body, end + 2 + source.length)
  view.setUint32(at.crc, crc32(bytes, crcStart, length), true)
  return bytes
}

interface HeadParts {
  readonly original: RecordView
  readonly head: CopyHead
  readonly length: number
}

function writeHead(view: DataView, { original, head, length }: HeadParts): void {
  const { kind, topicId, partition, attempt, deliverAt, history } = head
  let set = (original.flags & ~timesAndOrigin) | flags.source
  if (deliverAt !== undefined) set |= flags.deliverAt
  if (history !== undefined) set |= flags.history
  view.setUint32(at.length, length, true)
  for (let word = at.crc; word < at.topicId; word += 4) view.setUint32(word, 0, true)
  view.setUint32(at.topicId, topicId, true)
  view.setUint16(at.partition, partition, true)
  view.setUint8(at.kind, recordKinds[kind])
  view.setUint8(at.attempt, Math.min(attempt, 255))
  view.setUint16(at.flags, set, true)
  writeU48(view, at.producerId, 0)
  view.setUint16(at.producerEpoch, 0, true)
  view.setUint16(at.runCount, 1, true)
  view.setUint32(at.runBase, 0, true)
}

const timesAndOrigin = flags.deliverAt | flags.history | flags.delay | flags.source

/** Tag, key, headers and dedup id: they lie side by side. */
function keptSections({ bytes, start, flags: set }: RecordView): Uint8Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const first = start + recordFixedBytes + ((set & flags.deliverAt) === 0 ? 0 : 8)
  let end = first
  for (const flag of [flags.tag, flags.key, flags.headers, flags.dedupId]) {
    if ((set & flag) === 0) continue
    end += flag === flags.headers ? 4 + view.getUint32(end, true) : 2 + view.getUint16(end, true)
  }
  return bytes.subarray(first, end)
}
