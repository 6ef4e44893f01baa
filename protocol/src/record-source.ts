import { MqError } from './errors.ts'
import {
  groupId,
  type GroupId,
  type Offset,
  offset,
  type PartitionNumber,
  partitionNumber,
  readU48,
  readU64,
  type TimeMs,
  type TopicId,
  topicId,
  writeU48,
  writeU64,
} from './numbers.ts'

/**
 * Where a copy that the broker made comes from, and what it replaces: the `source` section of kinds retry and dead, and
 * of a delayed message once it is visible. 56 bytes, little-endian:
 *
 *     0  u8   version 1
 *     1  u8   cause           see `copyCauses`
 *     2  u16  attempts        deliveries before this copy
 *     4  u32  group id        0 for a delayed message
 *     8  u32  topic id        of the first copy
 *    12  u16  partition       of the first copy
 *    14  u16  expiries        deliveries among them that ended without an answer
 *    16  u64  settles         what this copy takes the place of: an offset of that partition, or a held number
 *    24  u64  offset          of the first copy; for a delayed message the held number again
 *    32  u48  first appended  append time of the first copy, ms since 1970
 *    38  u48  fingerprint     of the last error, 0 without one
 *    44  u32  generation      of the group in that partition
 *    48  u48  held at         when this record was made
 *    54  u16  kept, 0
 */
export interface RecordSource {
  readonly cause: CopyCause
  readonly attempts: number
  /** 0 for a delayed message that became visible. */
  readonly groupId: GroupId
  readonly topicId: TopicId
  readonly partition: PartitionNumber
  readonly expiries: number
  readonly settles: number
  readonly offset: Offset
  readonly firstAppendedAt: TimeMs
  /** 48 bits; 0: no error was told. */
  readonly fingerprint: number
  readonly generation: number
  readonly at: TimeMs
}

/** Why a copy was made. */
export const copyCauses = {
  /** The consumer said that it failed. */
  nack: 1,
  /** Nobody answered within the time. */
  expired: 2,
  /** The consumer said that trying again is of no use. */
  rejected: 3,
  /** An operator gave it up. */
  operator: 4,
  /** A delayed message became visible. */
  due: 5,
} as const
export type CopyCause = keyof typeof copyCauses

const causeNames = new Map<number, CopyCause>(
  Object.entries(copyCauses).map(([name, number]) => [number, name as CopyCause]),
)

export const sourceBytes = 56
const version = 1

export function encodeSource(source: RecordSource): Uint8Array {
  const bytes = new Uint8Array(sourceBytes)
  const view = new DataView(bytes.buffer)
  view.setUint8(0, version)
  view.setUint8(1, copyCauses[source.cause])
  view.setUint16(2, Math.min(source.attempts, 0xffff), true)
  view.setUint32(4, source.groupId, true)
  view.setUint32(8, source.topicId, true)
  view.setUint16(12, source.partition, true)
  view.setUint16(14, Math.min(source.expiries, 0xffff), true)
  writeU64(view, 16, source.settles)
  writeU64(view, 24, source.offset)
  writeU48(view, 32, source.firstAppendedAt)
  writeU48(view, 38, source.fingerprint)
  view.setUint32(44, source.generation, true)
  writeU48(view, 48, source.at)
  return bytes
}

/** @throws MqError `corrupt_record` for bytes that are none */
export function decodeSource(bytes: Uint8Array): RecordSource {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const cause = bytes.length === sourceBytes ? causeNames.get(view.getUint8(1)) : undefined
  if (cause === undefined || view.getUint8(0) !== version)
    throw new MqError('corrupt_record', 'the source section of a record is not one')
  return {
    cause,
    attempts: view.getUint16(2, true),
    groupId: groupId(view.getUint32(4, true)),
    topicId: topicId(view.getUint32(8, true)),
    partition: partitionNumber(view.getUint16(12, true)),
    expiries: view.getUint16(14, true),
    settles: readU64(view, 16),
    offset: offset(readU64(view, 24)),
    firstAppendedAt: readU48(view, 32),
    fingerprint: readU48(view, 38),
    generation: view.getUint32(44, true),
    at: readU48(view, 48),
  }
}

/** A fingerprint as people see it: 12 hexadecimal digits. */
export function formatFingerprint(fingerprint: number): string {
  return fingerprint.toString(16).padStart(12, '0')
}

/** @returns undefined for text that is none */
export function parseFingerprint(text: string): number | undefined {
  return /^[0-9a-f]{12}$/.test(text) ? Number.parseInt(text, 16) : undefined
}
