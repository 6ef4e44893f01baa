import {
  type Checksum,
  copyRecord,
  encodeSource,
  groupId,
  type RecordView,
  type TimeMs,
} from '@popmq/protocol'

/**
 * The record of a delayed message that becomes visible: all that its producer wrote, without the time that it waited
 * for, and with a source that settles its held number.
 */
export function encodeDueCopy(
  delayed: RecordView,
  { at, crc32 }: { readonly at: TimeMs; readonly crc32: Checksum },
): Uint8Array {
  const { topicId, partition, offset: number } = delayed
  const source = encodeSource({
    cause: 'due',
    attempts: 0,
    groupId: groupId(0),
    topicId,
    partition,
    expiries: 0,
    settles: number,
    offset: number,
    firstAppendedAt: delayed.appendedAt,
    fingerprint: 0,
    generation: 0,
    at,
  })
  return copyRecord(delayed, { kind: 'message', topicId, partition, attempt: 0, source }, crc32)
}
