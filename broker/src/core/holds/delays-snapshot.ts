import { assert } from '@popmq/kit'
import { firstHeldNumber, logPosition, partitionNumber, topicId } from '@popmq/protocol'
import { SnapshotReader, SnapshotWriter } from '../sequencers/snapshot-bytes.ts'
import type { Delay } from './delay-rows.ts'

/**
 * What a checkpoint keeps of delayed messages, little-endian:
 *
 *     version u8 | delays u32 | delivered u32
 *     | (number u48 | position u64 | bytes u32 | due at u48 | topic id u32 | partition u16) × delays, numbers ascending
 *     | number u48 × delivered, oldest first
 *
 * Numbers are counted from the first held number on. 30 bytes a delay.
 */
export interface DelaysSnapshot {
  readonly delays: Iterable<Delay>
  readonly size: number
  readonly delivered: Iterable<number>
  readonly deliveredSize: number
}

export function encodeDelays(snapshot: DelaysSnapshot): Uint8Array {
  const { delays, size, delivered, deliveredSize } = snapshot
  const bytes = fixedBytes + size * delayBytes + deliveredSize * numberBytes
  const writer = new SnapshotWriter(bytes, version)
  writer.u32(size)
  writer.u32(deliveredSize)
  for (const delay of delays) {
    writer.u48(delay.number - firstHeldNumber)
    writer.u64(delay.position)
    writer.u32(delay.bytes)
    writer.u48(delay.dueAt)
    writer.u32(delay.topicId)
    writer.u16(delay.partition)
  }
  for (const number of delivered) writer.u48(number - firstHeldNumber)
  return writer.finish()
}

/**
 * Reads a snapshot, a delay and a number at a time.
 * @throws MqError `newer_format` for another version, AssertionError for malformed bytes
 */
export function decodeDelays(
  bytes: Uint8Array,
  take: {
    readonly delay: (delay: Delay) => void
    readonly delivered: (number: number) => void
  },
): void {
  const reader = new SnapshotReader(bytes, version)
  const size = reader.u32()
  const deliveredSize = reader.u32()
  assert(
    bytes.length === fixedBytes + size * delayBytes + deliveredSize * numberBytes,
    'a snapshot holds as many as it says',
  )
  for (let index = 0; index < size; index += 1) take.delay(readDelay(reader))
  for (let index = 0; index < deliveredSize; index += 1)
    take.delivered(firstHeldNumber + reader.u48())
  reader.finish()
}

function readDelay(reader: SnapshotReader): Delay {
  return {
    number: firstHeldNumber + reader.u48(),
    position: logPosition(reader.u64()),
    bytes: reader.u32(),
    dueAt: reader.u48(),
    topicId: topicId(reader.u32()),
    partition: partitionNumber(reader.u16()),
  }
}

const version = 1
const numberBytes = 6
const fixedBytes = 1 + 4 + 4
const delayBytes = numberBytes + 8 + 4 + 6 + 4 + 2
