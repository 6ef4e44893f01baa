import { assert } from '@popmq/kit'
import {
  type Checksum,
  type LogPosition,
  logPosition,
  partitionKey,
  type PartitionKey,
} from '@popmq/protocol'
import {
  partitionNumber,
  partitionOfKey,
  readU64,
  topicId,
  topicOfKey,
  writeU64,
} from '@popmq/protocol'
import { ByteReader, type ByteWriter } from './byte-writer.ts'
import type { SegmentBytes } from './live-bytes.ts'

/**
 * What stands behind the pages of a sealed index file, little-endian: which page is in which slot, so that a start
 * needs no page read. A head of 32 bytes, then rows of 40, one for each log segment that the live entries of a page
 * pointed into when it was written. Of several rows for one page those of the latest slot count.
 *
 *     0  u32  crc             CRC-32 of all that follows
 *     4  u32  magic           'PQT' and the version
 *     8  u64  base            of the log segment that the file is named by
 *    16  u32  slots           pages in the file
 *    20  u32  rows
 *    24  u64  kept, 0
 *    32       rows:
 *              0  u32  slot
 *              4  u32  topic id
 *              8  u16  partition
 *             10  u48  append time of the page's first entry, ms since 1970
 *             16  u64  page number
 *             24  u64  base of a log segment
 *             32  u64  bytes of the page's live entries in that segment
 */
export const tableHeadBytes = 32
export const tableRowBytes = 40

const at = { crc: 0, magic: 4, base: 8, slots: 16, rows: 20 } as const
const magic = 0x0154_5150

/** What the table says of one page. */
export interface TablePage {
  readonly key: PartitionKey
  readonly number: number
  readonly firstTime: number
  readonly live: readonly SegmentBytes[]
}

export interface TableRow extends Omit<TablePage, 'live'>, SegmentBytes {
  readonly slot: number
}

export function writeRows(rows: ByteWriter, slot: number, page: TablePage): void {
  assert(page.live.length > 0, 'a page that is written has live entries')
  for (const { base, bytes } of page.live) {
    rows.u32(slot)
    rows.u32(topicOfKey(page.key))
    rows.u16(partitionOfKey(page.key))
    rows.u48(page.firstTime)
    rows.u64(page.number)
    rows.u64(base)
    rows.u64(bytes)
  }
}

export function* readRows(bytes: Uint8Array): Iterable<TableRow> {
  const reader = new ByteReader(bytes)
  while (reader.left > 0) {
    const slot = reader.u32()
    const topic = topicId(reader.u32())
    yield {
      slot,
      key: partitionKey(topic, partitionNumber(reader.u16())),
      firstTime: reader.u48(),
      number: reader.u64(),
      base: logPosition(reader.u64()),
      bytes: reader.u64(),
    }
  }
}

export interface TableOf {
  readonly base: LogPosition
  readonly slots: number
}

/** The table of the file of `base`, with these rows. */
export function encodeTable(
  { base, slots }: TableOf,
  rows: Uint8Array,
  crc32: Checksum,
): Uint8Array {
  const bytes = new Uint8Array(tableHeadBytes + rows.length)
  const view = new DataView(bytes.buffer)
  view.setUint32(at.magic, magic, true)
  writeU64(view, at.base, base)
  view.setUint32(at.slots, slots, true)
  view.setUint32(at.rows, rows.length / tableRowBytes, true)
  bytes.set(rows, tableHeadBytes)
  view.setUint32(at.crc, crc32(bytes, at.magic, bytes.length), true)
  return bytes
}

/** `bytes` begin with the table and may go on. @returns its rows, or undefined when it is not the whole table asked for */
export function decodeTable(
  { base, slots }: TableOf,
  bytes: Uint8Array,
  crc32: Checksum,
): Uint8Array | undefined {
  if (bytes.length < tableHeadBytes) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const end = tableHeadBytes + view.getUint32(at.rows, true) * tableRowBytes
  const whole =
    end <= bytes.length &&
    view.getUint32(at.magic, true) === magic &&
    view.getUint32(at.crc, true) === crc32(bytes, at.magic, end) &&
    readU64(view, at.base) === base &&
    view.getUint32(at.slots, true) === slots
  return whole ? bytes.subarray(tableHeadBytes, end) : undefined
}
