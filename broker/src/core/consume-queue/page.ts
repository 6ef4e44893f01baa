import { assert } from '@popmq/kit'
import { type Checksum, type LogPosition, type Offset, partitionOfKey } from '@popmq/protocol'
import { type PartitionKey, readU64, topicOfKey, writeU64 } from '@popmq/protocol'
import {
  entryBytes,
  entryPosition,
  entrySize,
  type EntrySource,
  entryTime,
  type Entry,
  readEntry,
  repointEntry,
  writeEntry,
} from './entry.ts'

/**
 * A page of a consume queue, little-endian, 4,096 bytes: a head of 32 and 127 entries, those of the offsets
 * [number × 127, number × 127 + 127). It names itself, so that a page that rotted or stands in a wrong place shows.
 *
 *     0  u32  crc             CRC-32 of [4, 4096)
 *     4  u32  magic           'PQP' and the version
 *     8  u32  topic id
 *    12  u16  partition
 *    14  u16  entries         127: only full pages are written
 *    16  u64  page number
 *    24  u64  kept, 0
 *    32       entries; those before a partition's first offset are 0
 */
export const pageBytes = 4_096
export const pageHeadBytes = 32
export const entriesPerPage = 127

const at = { crc: 0, magic: 4, topicId: 8, partition: 12, entries: 14, number: 16 } as const
const magic = 0x0150_5150
const firstBytes = 1_024

/** The number of the page that holds the entry of this offset. */
export function pageOf(offset: number): number {
  return Math.floor(offset / entriesPerPage)
}

/** Where in its page the entry of this offset stands: 0..126. */
export function indexInPage(offset: number): number {
  return offset % entriesPerPage
}

/** The offset of a page's first entry. */
export function pageStart(number: number): Offset {
  return (number * entriesPerPage) as Offset
}

export function entryStart(index: number): number {
  return pageHeadBytes + index * entryBytes
}

/**
 * A page in memory. It begins small and grows to its full size, so that thousands of quiet partitions stay cheap.
 * Once frozen its bytes never change again: they are being written, or are on disk.
 */
export class Page {
  readonly key: PartitionKey
  readonly number: number
  #bytes: Uint8Array
  #view: DataView
  #frozen = false

  constructor(key: PartitionKey, number: number, bytes: Uint8Array = new Uint8Array(firstBytes)) {
    this.key = key
    this.number = number
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  /** A page that begins with these entries. */
  static begun(key: PartitionKey, number: number, entries: Uint8Array): Page {
    const page = new Page(key, number)
    page.#makeRoom(pageHeadBytes + entries.length)
    page.#bytes.set(entries, pageHeadBytes)
    return page
  }

  /** The page that these whole and checked bytes are. */
  static frozen(key: PartitionKey, number: number, bytes: Uint8Array): Page {
    const page = new Page(key, number, bytes)
    page.#frozen = true
    return page
  }

  /** The bytes so far: the head is written by `freeze`. */
  get bytes(): Uint8Array {
    return this.#bytes
  }
  get frozen(): boolean {
    return this.#frozen
  }

  put(index: number, source: EntrySource): void {
    assert(!this.#frozen, 'a frozen page does not change')
    const start = entryStart(index)
    this.#makeRoom(start + entryBytes)
    writeEntry(this.#view, start, source)
  }

  repoint(index: number, position: LogPosition): void {
    assert(!this.#frozen, 'a frozen page does not change')
    repointEntry(this.#view, entryStart(index), position)
  }

  entryAt(index: number): Entry {
    return readEntry(this.#bytes, entryStart(index))
  }
  positionAt(index: number): number {
    return entryPosition(this.#view, entryStart(index))
  }
  sizeAt(index: number): number {
    return entrySize(this.#view, entryStart(index))
  }
  appendedAt(index: number): number {
    return entryTime(this.#view, entryStart(index))
  }

  /** The first index of [from, to) appended at or after `timeMs`, or `to`. Times do not fall within a partition. */
  firstSince(timeMs: number, from: number, to: number): number {
    let low = from
    let high = to
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.appendedAt(middle) >= timeMs) high = middle
      else low = middle + 1
    }
    return low
  }

  /** Writes the head and lets nothing change from here on. */
  freeze(crc32: Checksum): void {
    assert(this.#bytes.length === pageBytes, 'only a full page is frozen')
    if (this.#frozen) return
    this.#view.setUint32(at.magic, magic, true)
    this.#view.setUint32(at.topicId, topicOfKey(this.key), true)
    this.#view.setUint16(at.partition, partitionOfKey(this.key), true)
    this.#view.setUint16(at.entries, entriesPerPage, true)
    writeU64(this.#view, at.number, this.number)
    this.#view.setUint32(at.crc, crc32(this.#bytes, at.magic, this.#bytes.length), true)
    this.#frozen = true
  }

  /** A page of the same entries that may change. */
  thaw(): Page {
    return new Page(this.key, this.number, this.#bytes.slice())
  }

  #makeRoom(end: number): void {
    if (end <= this.#bytes.length) return
    let bytes = this.#bytes.length
    while (bytes < end) bytes *= 2
    const grown = new Uint8Array(bytes)
    grown.set(this.#bytes)
    this.#bytes = grown
    this.#view = new DataView(grown.buffer)
  }
}

/** @returns the frozen page in these bytes, or undefined when they are not the page that was asked for, whole. */
export function readPage(
  bytes: Uint8Array,
  wanted: Pick<Page, 'key' | 'number'>,
  crc32: Checksum,
): Page | undefined {
  if (bytes.length !== pageBytes) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const whole =
    view.getUint32(at.magic, true) === magic &&
    view.getUint32(at.crc, true) === crc32(bytes, at.magic, bytes.length) &&
    view.getUint32(at.topicId, true) === topicOfKey(wanted.key) &&
    view.getUint16(at.partition, true) === partitionOfKey(wanted.key) &&
    view.getUint16(at.entries, true) === entriesPerPage &&
    readU64(view, at.number) === wanted.number
  if (!whole) return undefined
  return Page.frozen(wanted.key, wanted.number, bytes)
}
