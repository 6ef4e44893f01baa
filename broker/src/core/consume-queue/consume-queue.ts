import { assert, present } from '@popmq/kit'
import {
  type LogPosition,
  type Offset,
  type PartitionKey,
  type RecordView,
  type TimeMs,
} from '@popmq/protocol'
import { outOfRange } from './bounds.ts'
import type { Entry } from './entry.ts'
import { EntryRange } from './entry-range.ts'
import type { TablePage } from './index-table.ts'
import { KeptEntries } from './kept-entries.ts'
import type { Spans } from './live-bytes.ts'
import { entriesPerPage, entryStart, indexInPage, Page, pageOf, pageStart } from './page.ts'
import { QueuePages, type Shared } from './queue-pages.ts'
import type { PageState, PartitionState } from './snapshot.ts'

/** Where a question gets its pages: those in memory, or those loaded for it. Undefined for one that must be loaded. */
export type PageSource = (number: number) => Page | undefined

export interface RangeQuestion {
  readonly from: Offset
  readonly maxEntries: number
  /** Whether the first entries will do when a later page must be loaded. */
  readonly partly: boolean
}

/** Where a record is: its offset, and one of its copies in the log. */
export interface Place {
  readonly offset: Offset
  readonly position: LogPosition
}

/**
 * The readable messages of one partition: the entries of the offsets [low, high), and those below that are kept. It
 * changes only by the records that are applied, in the order of the log. A question answers undefined when a page that
 * it needs must be loaded.
 *
 * Invariants: its pages are those from the page of `low` to the page of `high`, and only the last is being filled; every
 * kept entry lies below `low`.
 */
export class ConsumeQueue {
  readonly key: PartitionKey
  readonly pages: QueuePages
  readonly kept: KeptEntries
  readonly #shared: Shared
  #low: Offset
  #high: Offset
  #keptBytes = 0

  /** A queue whose first entry will be that of `start`. */
  constructor(key: PartitionKey, start: Offset, shared: Shared) {
    this.key = key
    this.pages = new QueuePages(key, pageOf(start), shared)
    this.kept = new KeptEntries(shared.live)
    this.#shared = shared
    this.#low = start
    this.#high = start
  }

  /** The first readable offset: the horizon. */
  get low(): Offset {
    return this.#low
  }
  /** The next offset to become visible. */
  get high(): Offset {
    return this.#high
  }
  /** Bytes of the records of [low, high): those of kept entries are not among them. */
  get keptBytes(): number {
    return this.#keptBytes
  }

  append(record: RecordView): void {
    assert(record.offset === this.#high, 'the records of a partition come with dense offsets')
    const { live } = this.#shared
    const { length } = record
    const index = indexInPage(this.#high)
    const page = this.pages.put(index, record)
    this.#high = (this.#high + 1) as Offset
    this.#keptBytes += length
    live.add(live.numberAt(record.position), length)
    if (index === entriesPerPage - 1) this.pages.turn(this.#liveSpans(page))
  }

  /** The record of `offset` has a copy at `position`. Its page is in memory. One below low that is not kept says nothing. */
  repoint(offset: Offset, position: LogPosition): void {
    if (offset < this.#low) return this.kept.repoint(offset, position)
    assert(offset < this.#high, 'a record is moved after it was applied')
    const { live } = this.#shared
    const index = indexInPage(offset)
    const before = present(
      this.pages.inMemory(pageOf(offset)),
      'the page of a moved record was prepared',
    )
    live.add(live.numberAt(before.positionAt(index)), -before.sizeAt(index))
    live.add(live.numberAt(position), before.sizeAt(index))
    const page = this.pages.changeable(before)
    page.repoint(index, position)
    this.#respan(page)
  }

  /**
   * Lets go of what lies below `low`, whose page is in memory, but keeps the entries of `held`, which are in memory or
   * foreseen. A lower `low` says nothing.
   */
  raiseLow(low: Offset, held: Iterable<Offset>): void {
    if (low <= this.#low) return
    assert(low <= this.#high, 'a horizon lies at or below the next offset')
    const outliving = this.#outliving(low, held)
    this.#letGoBelow(low)
    for (const [offset, entry] of outliving) this.kept.keep({ offset, entry })
  }

  /** The entries of [low, `low`) that are held: what is held below was kept before. */
  #outliving(low: Offset, held: Iterable<Offset>): Map<Offset, Entry> {
    const outliving = new Map<Offset, Entry>()
    for (const offset of held) {
      if (offset < this.#low || offset >= low) continue
      const foreseen = this.kept.takeForeseen(offset)
      // The page knows better: the record may have been moved since.
      const entry = this.pages.inMemory(pageOf(offset))?.entryAt(indexInPage(offset)) ?? foreseen
      outliving.set(offset, present(entry, 'the entries that outlive a horizon were prepared'))
    }
    return outliving
  }

  #letGoBelow(low: Offset): void {
    const number = pageOf(low)
    this.#dropPagesBelow(number)
    const start = pageStart(number)
    const gone = { from: Math.max(0, this.#low - start), to: low - start }
    this.#low = low
    if (gone.from >= gone.to) return
    const page = present(this.pages.inMemory(number), 'the page of a new horizon was prepared')
    this.#letGo(this.#shared.live.spansOf(page, gone))
    this.#respan(page)
  }

  /** The topic is gone: nothing in the log is live for it. */
  dropAll(): void {
    this.kept.letAllGo()
    const { filling } = this.pages
    if (filling !== undefined) this.#letGo(this.#liveSpans(filling))
    this.#dropPagesBelow(this.pages.directory.end)
  }

  /** Entries from an offset on. @throws MqError `offset_out_of_range` naming the bounds */
  range({ from, maxEntries, partly }: RangeQuestion, source: PageSource): EntryRange | undefined {
    if (from < this.#low || from > this.#high)
      throw outOfRange(from, { low: this.#low, high: this.#high })
    const end = Math.min(this.#high, from + maxEntries)
    const pages: Uint8Array[] = []
    let complete = true
    for (let number = pageOf(from); pageStart(number) < end && (complete || !partly); number += 1) {
      const page = source(number)
      if (page === undefined) complete = false
      else pages.push(page.bytes)
    }
    if (!complete && (!partly || pages.length === 0)) return undefined
    const pagesEnd = pageStart(pageOf(from) + pages.length)
    return new EntryRange(from, Math.max(0, Math.min(end, pagesEnd) - from), pages)
  }

  /** The first readable offset appended at or after `timeMs`; high when there is none. */
  offsetAt(timeMs: TimeMs, source: PageSource): Offset | undefined {
    const { directory, filling } = this.pages
    let number = directory.first
    let end = directory.end
    if (filling !== undefined && filling.appendedAt(0) < timeMs) number = end += 1
    while (number < end) {
      const middle = Math.floor((number + end) / 2)
      if (directory.firstTime(middle) >= timeMs) end = middle
      else number = middle + 1
    }
    // Page `number` is the first that begins at or after the time: what is looked for ends the page before, or begins it.
    if (number === directory.first) return this.#low
    const page = source(number - 1)
    if (page === undefined) return undefined
    const { from, to } = this.#readable(page)
    return (pageStart(page.number) + page.firstSince(timeMs, from, to)) as Offset
  }

  /** The lowest offset from which on the records take at most `maxBytes`. */
  offsetKeeping(maxBytes: number, source: PageSource): Offset | undefined {
    const { directory } = this.pages
    let excess = this.#keptBytes - maxBytes
    let number = directory.first
    while (number < directory.end && directory.bytes(number) <= excess) {
      excess -= directory.bytes(number)
      number += 1
    }
    if (excess <= 0) return Math.max(this.#low, pageStart(number)) as Offset
    const page = source(number)
    if (page === undefined) return undefined
    const { from, to } = this.#readable(page)
    let index = from
    for (; index < to && excess > 0; index += 1) excess -= page.sizeAt(index)
    return (pageStart(number) + index) as Offset
  }

  /** Whether the entry of `offset` points at this position. What is not applied yet counts as live. */
  pointsAt({ offset, position }: Place, source: PageSource): boolean | undefined {
    if (offset < this.#low) return this.kept.get(offset)?.position === position
    if (offset >= this.#high) return true
    const page = source(pageOf(offset))
    return page && page.positionAt(indexInPage(offset)) === position
  }

  /** What the table of an index file says of one of its full pages. */
  describe({ number }: Page): TablePage {
    const { directory } = this.pages
    const live = this.#shared.live.named(directory.spans(number))
    return { key: this.key, number, firstTime: directory.firstTime(number), live }
  }

  state(): PartitionState {
    const { directory, filling } = this.pages
    const lowPage = pageOf(this.#low)
    const lowSpans = directory.has(lowPage) ? directory.spans(lowPage) : []
    return {
      key: this.key,
      low: this.#low,
      high: this.#high,
      keptBytes: this.#keptBytes,
      lowLive: this.#shared.live.named(lowSpans),
      entries:
        filling?.bytes.subarray(entryStart(0), entryStart(indexInPage(this.#high))) ?? noEntries,
      kept: this.kept.all(),
    }
  }

  /** The queue of a snapshot, to be told of its full pages by rows of tables, then by `restorePage`. */
  static restore(state: PartitionState, shared: Shared): ConsumeQueue {
    const queue = new ConsumeQueue(state.key, state.low, shared)
    queue.#high = state.high
    queue.#keptBytes = state.keptBytes
    queue.kept.restore(state.kept)
    const { key, high, entries } = state
    queue.pages.restore(
      pageOf(high),
      entries.length === 0 ? undefined : Page.begun(key, pageOf(high), entries),
    )
    return queue
  }

  restorePage({ number, bytes }: PageState): void {
    assert(this.pages.directory.has(number), 'a page in a snapshot is one of its partition')
    const page = new Page(this.key, number, bytes)
    this.pages.restorePage(page, this.#liveSpans(page))
  }

  /** Comes last. @throws MqError `damaged_log` when one of the pages is in no index file */
  finishRestore({ lowLive }: PartitionState): void {
    this.pages.checkComplete()
    if (lowLive.length === 0) return
    const { live } = this.#shared
    const numberOf = (base: LogPosition): number =>
      present(live.numberOf(base), 'live entries point into a segment that is there')
    this.pages.directory.setSpans(
      pageOf(this.#low),
      lowLive.flatMap(({ base, bytes }) => [numberOf(base), bytes]),
    )
  }

  #dropPagesBelow(number: number): void {
    this.pages.dropBelow(number, (spans) => this.#letGo(spans))
  }

  #letGo(spans: Spans): void {
    this.#keptBytes -= this.#shared.live.letGo(spans)
  }

  #respan(page: Page): void {
    const { directory } = this.pages
    if (directory.has(page.number)) directory.setSpans(page.number, this.#liveSpans(page))
  }

  #liveSpans(page: Page): Spans {
    return this.#shared.live.spansOf(page, this.#readable(page))
  }

  /** The indexes of a page's readable entries. */
  #readable({ number }: Page): { readonly from: number; readonly to: number } {
    const start = pageStart(number)
    return {
      from: Math.max(0, this.#low - start),
      to: Math.min(entriesPerPage, this.#high - start),
    }
  }
}

const noEntries = new Uint8Array(0)
