import {
  type LogPosition,
  logPosition,
  MqError,
  type Offset,
  offset,
  type PartitionKey,
} from '@popmq/protocol'
import { partitionKey, partitionNumber, partitionOfKey, topicId, topicOfKey } from '@popmq/protocol'
import { ByteReader, ByteWriter } from './byte-writer.ts'
import { entryBytes, entryBytesOf, readEntry } from './entry.ts'
import type { IndexFileState } from './index-files.ts'
import { tableRowBytes } from './index-table.ts'
import type { KeptEntry } from './kept-entries.ts'
import type { SegmentBytes } from './live-bytes.ts'
import {
  entriesPerPage,
  entryStart,
  indexInPage,
  type Page,
  pageBytes,
  pageHeadBytes,
} from './page.ts'

/**
 * All consume queues as every record below a position left them, little-endian. The checksum is the checkpoint's.
 *
 *     0  u32  magic           'PQS' and the version, 2
 *     4  u32  segments
 *     8  u32  index files
 *    12  u32  partitions
 *    16  u32  pages
 *    20  u64  viewed          the position
 *    28       segments: base u64, live bytes u64
 *             index files: base u64, slots u32, rows u32 (2^32−1: sealed, they stand in the file), rows as in the table
 *             partitions: topic id u32, partition u16, spans u16, low u64, high u64, readable bytes u64,
 *                the live spans of the page that holds low, if it is full: segment base u64, bytes u64;
 *                the entries of the page being filled, high mod 127 of them;
 *                kept entries u32, then each: offset u64, entry; ascending, all below low
 *             full pages that are on no disk: topic id u32, partition u16, kept u16, page number u64, 127 entries
 *
 * The live bytes count what other views hold, too. Version 1 has no kept entries and not their number.
 */
export interface Snapshot {
  readonly viewed: LogPosition
  readonly segments: readonly SegmentBytes[]
  readonly files: readonly IndexFileState[]
  readonly partitions: readonly PartitionState[]
  readonly pages: readonly PageState[]
}

export interface PartitionState {
  readonly key: PartitionKey
  readonly low: Offset
  readonly high: Offset
  readonly keptBytes: number
  readonly lowLive: readonly SegmentBytes[]
  readonly entries: Uint8Array
  readonly kept: readonly KeptEntry[]
}

export type PageState = Pick<Page, 'key' | 'number' | 'bytes'>

const magic = 0x0053_5150
const version = 2
const sealed = 0xffff_ffff
const pageEntriesBytes = entriesPerPage * entryBytes

export function encodeSnapshot(snapshot: Snapshot): Uint8Array {
  const { viewed, segments, files, partitions, pages } = snapshot
  const writer = new ByteWriter(expectedBytes(snapshot))
  const words = [
    magic + version * 2 ** 24,
    segments.length,
    files.length,
    partitions.length,
    pages.length,
  ]
  for (const word of words) writer.u32(word)
  writer.u64(viewed)
  for (const { base, bytes } of segments) [base, bytes].forEach((word) => writer.u64(word))
  for (const { base, slots, rows } of files) {
    writer.u64(base)
    writer.u32(slots)
    writer.u32(rows === undefined ? sealed : rows.length / tableRowBytes)
    if (rows !== undefined) writer.bytes(rows)
  }
  for (const { key, low, high, keptBytes, lowLive, entries, kept } of partitions) {
    writer.u32(topicOfKey(key))
    writer.u16(partitionOfKey(key))
    writer.u16(lowLive.length)
    for (const word of [low, high, keptBytes]) writer.u64(word)
    for (const { base, bytes } of lowLive) [base, bytes].forEach((word) => writer.u64(word))
    writer.bytes(entries)
    writer.u32(kept.length)
    for (const { offset: at, entry } of kept) {
      writer.u64(at)
      writer.bytes(entryBytesOf(entry))
    }
  }
  for (const { key, number, bytes } of pages) {
    writer.u32(topicOfKey(key))
    writer.u16(partitionOfKey(key))
    writer.u16(0)
    writer.u64(number)
    writer.bytes(bytes.subarray(pageHeadBytes))
  }
  return writer.written
}

/** @throws MqError `newer_format` for another version, `damaged_log` for bytes that are no snapshot */
export function decodeSnapshot(bytes: Uint8Array): Snapshot {
  try {
    return read(new ByteReader(bytes))
  } catch (cause) {
    if (cause instanceof MqError) throw cause
    throw new MqError('damaged_log', 'the snapshot of the consume queues is damaged', { cause })
  }
}

function read(reader: ByteReader): Snapshot {
  const found = reader.u32()
  if ((found & 0xff_ffff) !== magic) throw new RangeError('these bytes do not begin as a snapshot')
  const of = found >>> 24
  if (of === 0 || of > version)
    throw new MqError('newer_format', `the consume queues have snapshot version ${of}`)
  const [segments, files, partitions, pages] = [
    reader.u32(),
    reader.u32(),
    reader.u32(),
    reader.u32(),
  ]
  const snapshot = {
    viewed: logPosition(reader.u64()),
    segments: repeat(segments, () => readSegment(reader)),
    files: repeat(files, () => readFile(reader)),
    partitions: repeat(partitions, () => readPartition(reader, of)),
    pages: repeat(pages, () => readUnwritten(reader)),
  }
  if (reader.left !== 0) throw new RangeError(`${reader.left} bytes follow the snapshot`)
  return snapshot
}

function readSegment(reader: ByteReader): SegmentBytes {
  return { base: logPosition(reader.u64()), bytes: reader.u64() }
}

function readFile(reader: ByteReader): IndexFileState {
  const [base, slots, rows] = [logPosition(reader.u64()), reader.u32(), reader.u32()]
  return { base, slots, rows: rows === sealed ? undefined : reader.bytes(rows * tableRowBytes) }
}

function readPartition(reader: ByteReader, of: number): PartitionState {
  const key = partitionKey(topicId(reader.u32()), partitionNumber(reader.u16()))
  const spans = reader.u16()
  const [low, high, keptBytes] = [offset(reader.u64()), offset(reader.u64()), reader.u64()]
  const lowLive = repeat(spans, () => readSegment(reader))
  const entries = reader.bytes(indexInPage(high) * entryBytes)
  const kept = of === 1 ? [] : repeat(reader.u32(), () => readKept(reader))
  return { key, low, high, keptBytes, lowLive, entries, kept }
}

function readKept(reader: ByteReader): KeptEntry {
  const at = offset(reader.u64())
  return { offset: at, entry: readEntry(reader.bytes(entryBytes), 0) }
}

function readUnwritten(reader: ByteReader): PageState {
  const key = partitionKey(topicId(reader.u32()), partitionNumber(reader.u16()))
  reader.u16()
  const number = reader.u64()
  const bytes = new Uint8Array(pageBytes)
  bytes.set(reader.bytes(pageEntriesBytes), entryStart(0))
  return { key, number, bytes }
}

function repeat<T>(times: number, make: () => T): T[] {
  const made: T[] = []
  for (let left = times; left > 0; left -= 1) made.push(make())
  return made
}

/** Near enough that the writer seldom grows. */
function expectedBytes({ segments, files, partitions, pages }: Snapshot): number {
  const rows = files.reduce((sum, file) => sum + (file.rows?.length ?? 0), 0)
  const entries = partitions.reduce(
    (sum, { entries: part, kept }) => sum + part.length + kept.length * (8 + entryBytes),
    0,
  )
  return (
    64 +
    (segments.length + files.length) * 16 +
    rows +
    partitions.length * 68 +
    entries +
    pages.length * pageBytes
  )
}
