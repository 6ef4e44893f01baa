import { assert } from '@popmq/kit'
import { MqError, type PartitionKey } from '@popmq/protocol'
import type { EntrySource } from './entry.ts'
import type { TableRow } from './index-table.ts'
import type { LiveBytes, Spans } from './live-bytes.ts'
import type { PageCache } from './page-cache.ts'
import { nowhere, PageDirectory } from './page-directory.ts'
import { Page } from './page.ts'

/** What the consume queues of a log share. */
export interface Shared {
  readonly live: LiveBytes
  readonly cache: PageCache
  /** Takes the pages that the next flush has to write. */
  readonly files: { add(page: Page): void }
}

/**
 * The pages of one partition, each in one of three states:
 *
 *   filling → unwritten   when its last entry comes; there is one such page at most, behind all others
 *   unwritten → clean     when a flush has written it; the bytes are on disk, and in memory while the cache keeps them
 *   clean → unwritten     when an entry changes, or its file is to go: a copy of the page takes its place
 */
export class QueuePages {
  readonly key: PartitionKey
  readonly directory: PageDirectory
  readonly #shared: Shared
  #filling: Page | undefined
  #unwritten: Map<number, Page> | undefined
  /** Pages that records about to be applied need. */
  #pinned: Map<number, Page> | undefined

  /** `first` is the number of the first page. */
  constructor(key: PartitionKey, first: number, shared: Shared) {
    this.key = key
    this.directory = new PageDirectory(first)
    this.#shared = shared
  }

  get filling(): Page | undefined {
    return this.#filling
  }

  /** Puts an entry into the page being filled. */
  put(index: number, source: EntrySource): Page {
    this.#filling ??= new Page(this.key, this.directory.end)
    this.#filling.put(index, source)
    return this.#filling
  }

  /** The page being filled is full. */
  turn(spans: Spans): void {
    const page = this.#filling
    assert(page !== undefined, 'the page that is full was being filled')
    this.directory.push(page.appendedAt(0), spans)
    this.#filling = undefined
    this.#hold(page)
  }

  /** @returns undefined for a page that must be read */
  inMemory(number: number): Page | undefined {
    if (number === this.directory.end) return this.#filling
    const held = this.#unwritten?.get(number) ?? this.#pinned?.get(number)
    return held ?? this.#shared.cache.get(this.directory.location(number))
  }

  /** Where the page is on disk as it is now, or `nowhere`. */
  location(number: number): number {
    return this.directory.has(number) ? this.directory.location(number) : nowhere
  }

  /** Keeps a page in memory, and what becomes of it, until `unpin`. */
  pin(page: Page): void {
    this.#pinned ??= new Map()
    this.#pinned.set(page.number, page)
  }
  unpin(): void {
    this.#pinned = undefined
  }

  /** The page in a form that may change; the next flush writes it. */
  changeable(page: Page): Page {
    return page.frozen ? this.rewrite(page) : page
  }

  /** A copy takes the place of the page; the next flush writes it. */
  rewrite(page: Page): Page {
    const copy = page.thaw()
    this.#hold(copy)
    return copy
  }

  isUnwritten(page: Page): boolean {
    return this.#unwritten?.get(page.number) === page
  }

  /** The page is on disk at `location`. */
  written(page: Page, location: number): void {
    if (!this.isUnwritten(page)) return
    this.#unwritten?.delete(page.number)
    this.directory.place(page.number, location)
    this.#shared.cache.put(location, page)
  }

  unwritten(): Iterable<Page> {
    return this.#unwritten?.values() ?? []
  }

  dropBelow(number: number, leaving: (spans: Spans) => void): void {
    for (const unwritten of this.#unwritten?.keys() ?? []) {
      if (unwritten < number) this.#unwritten?.delete(unwritten)
    }
    this.directory.dropBelow(number, leaving)
  }

  /** Makes pages known up to `end`, of which rows and pages to come tell the rest; `filling` holds the newest entries. */
  restore(end: number, filling: Page | undefined): void {
    while (this.directory.end < end) this.directory.push(0, [])
    this.#filling = filling
  }

  /** Takes in a row of a table; the rows come in the order in which they were written. */
  restoreRow({ number, firstTime, base, bytes }: TableRow, location: number): void {
    const { directory } = this
    if (!directory.has(number)) return
    const further = directory.location(number) === location && directory.bytes(number) > 0
    const segment = this.#shared.live.numberOf(base)
    const spans = segment === undefined ? [] : [segment, bytes]
    directory.setSpans(number, further ? [...directory.spans(number), ...spans] : spans)
    directory.setFirstTime(number, firstTime)
    directory.place(number, location)
  }

  /** Takes in a page that was in no index file. */
  restorePage(page: Page, spans: Spans): void {
    this.#hold(page)
    this.directory.setFirstTime(page.number, page.appendedAt(0))
    this.directory.setSpans(page.number, spans)
  }

  /** @throws MqError `damaged_log` when no row and no page told of one of them */
  checkComplete(): void {
    for (let number = this.directory.first; number < this.directory.end; number += 1) {
      if (this.location(number) !== nowhere || this.#unwritten?.has(number) === true) continue
      const what = `page ${number} of a consume queue is in none of the index files`
      throw new MqError('damaged_log', what)
    }
  }

  #hold(page: Page): void {
    this.#unwritten ??= new Map()
    this.#unwritten.set(page.number, page)
    if (this.#pinned?.has(page.number) === true) this.#pinned.set(page.number, page)
    this.directory.place(page.number, nowhere)
    this.#shared.files.add(page)
  }
}
