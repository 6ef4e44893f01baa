import { assert, present, type Storage, type StorageFile, writeAll } from '@popmq/kit'
import { type Checksum, type LogPosition, MqError } from '@popmq/protocol'
import { ByteWriter } from './byte-writer.ts'
import { decodeTable, encodeTable, type TablePage, writeRows } from './index-table.ts'
import { type Page, pageBytes, readPage } from './page.ts'

export const indexFolder = 'index'

/** `index/00000000000001048576.index`: an index file is named by the base of its log segment. */
export function indexPath(base: LogPosition): string {
  return `${indexFolder}/${String(base).padStart(20, '0')}.index`
}

/** A page's place on disk in one number: that of the segment, times 2^24, plus the slot in its index file. */
const slotsPerFile = 2 ** 24

export function segmentOf(location: number): number {
  return Math.floor(location / slotsPerFile)
}

export function locationOf(segment: number, slot: number): number {
  assert(slot < slotsPerFile, 'an index file holds at most 2^24 pages')
  return segment * slotsPerFile + slot
}

/** Who the pages belong to. */
export interface PageOwner {
  /** Whether this is the partition's page as it is now, and not on disk. */
  isUnwritten(page: Page): boolean
  describe(page: Page): TablePage
  /** The page is durable at `location`. */
  written(page: Page, location: number): void
}

export interface IndexFileOptions {
  readonly base: LogPosition
  /** The number of the log segment. */
  readonly segment: number
  readonly storage: Storage
  readonly crc32: Checksum
}

/**
 * The pages that were filled while one log segment was the active one: slots of 4,096 bytes, appended in the order
 * they come; a page that changes is appended again, a slot never.
 *
 *   open → sealed   at the first flush after the log has rolled on: its table is written behind the pages
 *
 * The table of an open file is in memory and travels in the snapshot. What a flush wrote after the snapshot from
 * which a broker starts is cut off. The file is made when the first page is written.
 */
export class IndexFile {
  readonly base: LogPosition
  readonly segment: number
  readonly #storage: Storage
  readonly #crc32: Checksum
  readonly #reading = new Set<Promise<unknown>>()
  #file: StorageFile | undefined
  #slots = 0
  /** The rows of the table; undefined once the file is sealed. */
  #rows: ByteWriter | undefined = new ByteWriter()
  #pending: Page[] = []
  #writing: readonly Page[] = []

  constructor({ base, segment, storage, crc32 }: IndexFileOptions) {
    this.base = base
    this.segment = segment
    this.#storage = storage
    this.#crc32 = crc32
  }

  get slots(): number {
    return this.#slots
  }
  /** Pages held in memory for this file. */
  get unwritten(): number {
    return this.#pending.length + this.#writing.length
  }
  /** The rows so far of an open file. */
  get openRows(): Uint8Array | undefined {
    return this.#rows?.written
  }

  /** The next flush writes this page. */
  add(page: Page): void {
    assert(this.#rows !== undefined, 'a sealed index file takes no page')
    this.#pending.push(page)
  }

  /** Hands over the pages that no flush has begun to write. */
  takePending(): readonly Page[] {
    const pages = this.#pending
    this.#pending = []
    return pages
  }

  /** Makes the file what it was in a snapshot. `rows` is undefined for a sealed one. */
  async restore(slots: number, rows: Uint8Array | undefined): Promise<void> {
    this.#slots = slots
    this.#file = await this.#storage.open(indexPath(this.base))
    const size = (await this.#file?.size()) ?? 0
    if (size < slots * pageBytes)
      throw this.#damaged(`has ${size} bytes, its ${slots} pages need more`)
    if (rows === undefined) this.#rows = undefined
    else {
      this.#rows?.bytes(rows)
      await this.#file?.truncate(slots * pageBytes)
    }
  }

  /**
   * Writes what is pending, syncs, and then tells the owner. When it fails the pages stay pending. Never called twice
   * at once.
   * @param seal whether the log has rolled on: no page comes any more
   */
  async flush(owner: PageOwner, seal: boolean): Promise<void> {
    const rows = this.#rows
    if (rows === undefined) return
    const pages = this.takePending().filter((page) => owner.isUnwritten(page))
    const slots = this.#slots + pages.length
    const sealing = seal && slots > 0
    if (pages.length === 0 && !sealing) return
    const added = this.#describe(pages, owner)
    const parts = pages.map((page) => page.bytes)
    if (sealing)
      parts.push(encodeTable({ base: this.base, slots }, concat(rows.written, added), this.#crc32))
    this.#writing = pages
    try {
      await this.#append(parts)
    } catch (error) {
      this.#pending.unshift(...pages)
      throw error
    } finally {
      this.#writing = []
    }
    pages.forEach((page, index) =>
      owner.written(page, locationOf(this.segment, this.#slots + index)),
    )
    this.#slots = slots
    if (sealing) this.#rows = undefined
    else rows.bytes(added)
  }

  /** Reads the page in `slot`. @throws MqError `damaged_log` when it is not the page `wanted`, whole */
  async read(slot: number, wanted: Pick<Page, 'key' | 'number'>): Promise<Page> {
    const bytes = await this.#readBytes(pageBytes, slot * pageBytes)
    const page = readPage(bytes, wanted, this.#crc32)
    if (page === undefined)
      throw this.#damaged(`is damaged in the page at byte ${slot * pageBytes}`)
    return page
  }

  /** The rows of the table. @throws MqError `damaged_log` */
  async readTable(): Promise<Uint8Array> {
    if (this.#rows !== undefined) return this.#rows.written.slice()
    const start = this.#slots * pageBytes
    const size = await present(this.#file, 'a sealed index file is open').size()
    const bytes = await this.#readBytes(Math.max(0, size - start), start)
    const rows = decodeTable(this, bytes, this.#crc32)
    if (rows === undefined) throw this.#damaged(`is damaged in its table at byte ${start}`)
    return rows
  }

  /** Waits for the readings under way. */
  async close(): Promise<void> {
    await Promise.allSettled(this.#reading)
    await this.#file?.close()
    this.#file = undefined
  }

  #describe(pages: readonly Page[], owner: PageOwner): Uint8Array {
    const added = new ByteWriter()
    for (const [index, page] of pages.entries()) {
      page.freeze(this.#crc32)
      writeRows(added, this.#slots + index, owner.describe(page))
    }
    return added.written
  }

  async #append(parts: readonly Uint8Array[]): Promise<void> {
    const isNew = this.#file === undefined
    this.#file ??= await this.#storage.create(indexPath(this.base))
    await writeAll(this.#file, parts, this.#slots * pageBytes)
    await this.#file.sync()
    if (isNew || this.#slots === 0) await this.#storage.syncFolder(indexFolder)
  }

  async #readBytes(length: number, start: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(length)
    const reading = present(this.#file, 'an index file that is read is open').read(bytes, start)
    this.#reading.add(reading)
    try {
      return bytes.subarray(0, await reading)
    } finally {
      this.#reading.delete(reading)
    }
  }

  #damaged(what: string): MqError {
    const file = indexPath(this.base)
    return new MqError('damaged_log', `the index file ${file} ${what}`, { facts: { file } })
  }
}

function concat(front: Uint8Array, back: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(front.length + back.length)
  bytes.set(front)
  bytes.set(back, front.length)
  return bytes
}
