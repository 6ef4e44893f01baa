import {
  MqError,
  type Offset,
  offset,
  type PartitionKey,
  partitionKey,
  partitionNumber,
} from '@popmq/protocol'
import { partitionOfKey, readU64, topicId, topicOfKey, writeU64 } from '@popmq/protocol'

/**
 * The body of a horizon record: what retention or a purge lets go, for many partitions at once. 16 bytes each,
 * little-endian:
 *
 *     0  u32  topic id
 *     4  u16  partition
 *     6  u16  kept, 0
 *     8  u64  low             the first offset that stays readable; one that is not above the present low says nothing
 */
export const horizonBytes = 16
/** Most partitions in one record: applying it holds at most one page of each in memory. */
export const mostHorizons = 1_024

export interface Horizon {
  readonly key: PartitionKey
  readonly low: Offset
}

/** @throws MqError `invalid_request` for more than `mostHorizons`. */
export function encodeHorizon(horizons: readonly Horizon[]): Uint8Array {
  if (horizons.length > mostHorizons) {
    throw new MqError(
      'invalid_request',
      `a horizon names ${horizons.length} partitions, ${mostHorizons} fit`,
    )
  }
  const bytes = new Uint8Array(horizons.length * horizonBytes)
  const view = new DataView(bytes.buffer)
  for (const [index, { key, low }] of horizons.entries()) {
    const at = index * horizonBytes
    view.setUint32(at, topicOfKey(key), true)
    view.setUint16(at + 4, partitionOfKey(key), true)
    writeU64(view, at + 8, low)
  }
  return bytes
}

/** @throws MqError `corrupt_record` for a body that is no list of horizons. */
export function decodeHorizon(body: Uint8Array): Horizon[] {
  if (body.length % horizonBytes !== 0 || body.length > mostHorizons * horizonBytes) {
    throw new MqError('corrupt_record', `the body of a horizon has ${body.length} bytes`)
  }
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength)
  const horizons: Horizon[] = []
  for (let at = 0; at < body.length; at += horizonBytes) {
    const key = partitionKey(
      topicId(view.getUint32(at, true)),
      partitionNumber(view.getUint16(at + 4, true)),
    )
    horizons.push({ key, low: offset(readU64(view, at + 8)) })
  }
  return horizons
}
