import { assert } from '@popmq/kit'
import { type LogPosition, logPosition, RecordView } from '@popmq/protocol'
import type { Segments } from './segments.ts'

const blockBytes = 4 * 1_048_576

/** Calls `visit` for each record of verified bytes; the view is moved from one to the next. */
export function visitRecords(
  slices: readonly Uint8Array[],
  visit: (record: RecordView) => void,
): void {
  const record = new RecordView()
  for (const bytes of slices) {
    for (let at = 0; at < bytes.length;) {
      record.move(bytes, at)
      assert(record.fits(bytes.length), 'verified bytes are whole records')
      at += record.length
      visit(record)
    }
  }
}

/**
 * Blocks of whole records of [from, to), read from disk in order; both must be where a record begins.
 * For recovery's second pass and for cleaning: what was verified is read again.
 */
export async function* readBlocks(
  segments: Segments,
  from: LogPosition,
  to: LogPosition,
): AsyncGenerator<Uint8Array> {
  let at = from
  while (at < to) {
    const segment = segments.at(at)
    const end = Math.min(segment.end, to)
    const block = await readWholeRecords(segment, at, end)
    yield block
    at = logPosition(at + block.length)
  }
}

async function readWholeRecords(
  segment: Segments['active'],
  from: LogPosition,
  to: number,
): Promise<Uint8Array> {
  for (let bytes = blockBytes; ; bytes *= 2) {
    const block = new Uint8Array(Math.min(bytes, to - from))
    const read = await segment.file.read(block, from - segment.base)
    assert(read === block.length, 'verified bytes can be read again')
    const whole = wholeRecordBytes(block)
    if (whole > 0) return block.subarray(0, whole)
    assert(block.length < to - from, 'verified bytes are whole records')
  }
}

/** How many bytes from the start are whole records. */
function wholeRecordBytes(block: Uint8Array): number {
  const record = new RecordView()
  let at = 0
  while (record.move(block, at).fits(block.length)) at += record.length
  return at
}
