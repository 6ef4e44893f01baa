import { assert } from '@popmq/kit'
import { flags, recordFixedBytes, type RecordView, type TimeMs } from '@popmq/protocol'

/** When a delayed record says that it becomes visible: at a time, or so long after its append. */
export interface DueWish {
  readonly deliverAt: number | undefined
  readonly delayMs: number | undefined
}

/**
 * Reads the times of a record whose sections hold and which has no source: the time to deliver at is its first section,
 * the delay its last. Both as they were sent: nothing says that they are whole or small.
 */
export function dueWishOf(record: RecordView): DueWish {
  const { bytes, flags: set } = record
  assert((set & flags.source) === 0, 'a record with a delay is as its producer sent it')
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const bodyStart = record.end - record.bodyLength
  return {
    deliverAt:
      (set & flags.deliverAt) === 0 ? undefined : readAny(view, record.start + recordFixedBytes),
    delayMs: (set & flags.delay) === 0 ? undefined : readAny(view, bodyStart - 8),
  }
}

/** When a delayed record of the log is due. */
export function dueTimeOf(record: RecordView): TimeMs {
  const { deliverAt, delayMs } = dueWishOf(record)
  assert(
    (deliverAt === undefined) !== (delayMs === undefined),
    'a delayed record names a time or a delay',
  )
  return deliverAt ?? record.appendedAt + (delayMs ?? 0)
}

/** Without `readU64`, which asserts: a producer may have written anything. */
function readAny(view: DataView, at: number): number {
  return view.getUint32(at, true) + view.getUint32(at + 4, true) * 2 ** 32
}
