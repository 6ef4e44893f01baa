import { type GroupId, groupId, type Offset, offset, type PartitionKey } from '@popmq/protocol'
import { ByteReader, ByteWriter } from '../consume-queue/byte-writer.ts'

/**
 * The body of a `reset` record: a group goes on at another offset of a partition.
 *
 *    group id u32 | partition key u48 | generation u32 | kept u16 | to u64 | skipped below u64
 *
 * Handles of an older generation are over; retries and open letters of the offsets from `to` on are void.
 */
export interface ResetRecord {
  readonly groupId: GroupId
  readonly key: PartitionKey
  /** Above that of the group in the partition. */
  readonly generation: number
  readonly to: Offset
  /** When it goes back: of the offsets below `to`, how many the group has passed by. The leader has counted. */
  readonly skippedBelow: number
}

export function encodeReset(record: ResetRecord): Uint8Array {
  const writer = new ByteWriter(32)
  writer.u32(record.groupId)
  writer.u48(record.key)
  writer.u32(record.generation)
  writer.u16(0)
  writer.u64(record.to)
  writer.u64(record.skippedBelow)
  return writer.written
}

export function decodeReset(body: Uint8Array): ResetRecord {
  const reader = new ByteReader(body)
  const head = { groupId: groupId(reader.u32()), key: reader.u48() as PartitionKey }
  const generation = reader.u32()
  reader.u16()
  return { ...head, generation, to: offset(reader.u64()), skippedBelow: reader.u64() }
}

/** The body of a `group_gone` record: group id u32. */
export function encodeGroupGone(group: GroupId): Uint8Array {
  const writer = new ByteWriter(4)
  writer.u32(group)
  return writer.written
}

export function decodeGroupGone(body: Uint8Array): GroupId {
  return groupId(new ByteReader(body).u32())
}
