import { MqError } from './errors.ts'
import { flags, recordFixedBytes } from './record-layout.ts'
import { decodeSource, type RecordSource } from './record-source.ts'
import type { RecordView } from './record.ts'

/**
 * A view of one section of a whole record, the others only passed by: their content is the producer's, and what the
 * broker must know of its own copies cannot hang on it. See `message.ts` for the order.
 * @returns undefined when the record has none
 * @throws MqError `corrupt_record` when the sections do not add up
 */
export function sectionOf(record: RecordView, flag: number): Uint8Array | undefined {
  const { bytes, flags: set } = record
  if ((set & flag) === 0) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const bodyStart = record.end - record.bodyLength
  let at = record.start + recordFixedBytes
  for (const { flag: next, lengthBytes } of order) {
    if ((set & next) === 0) continue
    if (at + lengthBytes > bodyStart) break
    const length = lengthOf(view, at, lengthBytes)
    const start = at + lengthBytes
    at = start + length
    if (at > bodyStart) break
    if (next === flag) return bytes.subarray(start, at)
  }
  throw new MqError(
    'corrupt_record',
    'the sections of a record do not add up to what its flags say',
  )
}

/** What a copy that the broker made says of its source; undefined for a record that is no copy. */
export function sourceOf(record: RecordView): RecordSource | undefined {
  const bytes = sectionOf(record, flags.source)
  return bytes === undefined ? undefined : decodeSource(bytes)
}

/** A length of 0 bytes: the section is a time. */
const order = [
  { flag: flags.deliverAt, lengthBytes: 0 },
  { flag: flags.tag, lengthBytes: 2 },
  { flag: flags.key, lengthBytes: 2 },
  { flag: flags.headers, lengthBytes: 4 },
  { flag: flags.dedupId, lengthBytes: 2 },
  { flag: flags.history, lengthBytes: 4 },
  { flag: flags.delay, lengthBytes: 0 },
  { flag: flags.source, lengthBytes: 2 },
] as const

function lengthOf(view: DataView, at: number, lengthBytes: 0 | 2 | 4): number {
  if (lengthBytes === 0) return 8
  return lengthBytes === 2 ? view.getUint16(at, true) : view.getUint32(at, true)
}
