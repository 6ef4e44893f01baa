import { isQueued, marks, type Offset, partitionKey, type PartitionKey } from '@popmq/protocol'
import { recordKinds, type RecordView } from '@popmq/protocol'
import type { ConsumeQueue } from './consume-queue.ts'
import { decodeHorizon, type Horizon } from './horizon.ts'
import type { Keepers } from './kept-entries.ts'
import type { PageReader } from './page-reader.ts'
import { indexInPage, type Page, pageOf } from './page.ts'

interface Place {
  readonly key: PartitionKey
  readonly at: Offset
}

interface WantedPage {
  readonly queue: ConsumeQueue
  readonly number: number
  /** Undefined when it must be loaded. */
  readonly page: Page | undefined
}

/** A page with entries that will outlive a horizon. */
interface HeldPage {
  readonly queue: ConsumeQueue
  readonly number: number
  readonly offsets: Offset[]
}

export interface PagePinsParts {
  readonly queueOf: (key: PartitionKey) => ConsumeQueue | undefined
  readonly reader: PageReader
  readonly keepers: Keepers
}

/** Pages whose entries are taken out at a time: 1 MiB. A message in hand may be alone on its page. */
const pagesAtOnce = 256

/**
 * Pages kept in memory for records that are about to be applied: those of moved records, and those in which a new
 * horizon falls. Of the pages in which entries outlive a horizon only these are kept. Applying cannot wait; so all that
 * is loaded before.
 */
export class PagePins {
  readonly #parts: PagePinsParts
  #pinned: readonly WantedPage[] = []
  #foreseeing = new Set<ConsumeQueue>()

  constructor(parts: PagePinsParts) {
    this.#parts = parts
  }

  /** Pins what these records need in place of what was pinned. @returns undefined when there is nothing to wait for */
  pin(records: Iterable<RecordView>): Promise<void> | undefined {
    // Before the old pins go: they may hold what is wanted again.
    const wanted: WantedPage[] = []
    const held: HeldPage[] = []
    for (const record of records) {
      if (record.kind === recordKinds.horizon) {
        const horizons = decodeHorizon(record.body)
        wanted.push(...placesWithin(horizons).flatMap((place) => this.#wantedAt(place)))
        held.push(...horizons.flatMap((horizon) => this.#heldPages(horizon)))
      } else if (isMovedEntry(record)) {
        const key = partitionKey(record.topicId, record.partition)
        wanted.push(...this.#wantedAt({ key, at: record.offset }))
      }
    }
    if (wanted.length === 0 && held.length === 0) return undefined
    this.#unpin()
    this.#pinned = wanted
    const loads: Promise<void>[] = []
    for (const { queue, number, page } of wanted) {
      if (page === undefined) loads.push(this.#load(queue, number))
      else queue.pages.pin(page)
    }
    const unseen = held.filter((page) => !this.#foreseeNow(page))
    if (unseen.length > 0) loads.push(this.#foresee(unseen))
    return loads.length === 0 ? undefined : Promise.all(loads).then(() => undefined)
  }

  #unpin(): void {
    for (const { queue } of this.#pinned) queue.pages.unpin()
    for (const queue of this.#foreseeing) queue.kept.forgetForeseen()
    this.#foreseeing = new Set()
  }

  #wantedAt({ key, at }: Place): WantedPage[] {
    const queue = this.#parts.queueOf(key)
    // What lies below says nothing, or is kept apart from its page; nothing lies above.
    if (queue === undefined || at < queue.low || at >= queue.high) return []
    return [{ queue, number: pageOf(at), page: queue.pages.inMemory(pageOf(at)) }]
  }

  /** The pages of the entries that this horizon lets go and somebody has in hand. */
  #heldPages({ key, low }: Horizon): HeldPage[] {
    const queue = this.#parts.queueOf(key)
    if (queue === undefined || low <= queue.low) return []
    const pages: HeldPage[] = []
    for (const offset of this.#parts.keepers.heldBelow(key, low)) {
      if (offset < queue.low || offset >= queue.high) continue
      const number = pageOf(offset)
      const last = pages.at(-1)
      if (last?.number === number) last.offsets.push(offset)
      else pages.push({ queue, number, offsets: [offset] })
    }
    return pages
  }

  async #load({ key, pages }: ConsumeQueue, number: number): Promise<void> {
    pages.pin(await this.#parts.reader.load(pages.location(number), { key, number }))
  }

  async #foresee(held: readonly HeldPage[]): Promise<void> {
    for (let at = 0; at < held.length; at += pagesAtOnce) {
      await Promise.all(held.slice(at, at + pagesAtOnce).map((page) => this.#foreseeIn(page)))
    }
  }

  async #foreseeIn(held: HeldPage): Promise<void> {
    const { queue, number } = held
    // Asked once more: its file may have been dropped meanwhile, and then the page is in memory.
    if (this.#foreseeNow(held)) return
    const { key, pages } = queue
    this.#take(held, await this.#parts.reader.load(pages.location(number), { key, number }))
  }

  #foreseeNow(held: HeldPage): boolean {
    const page = held.queue.pages.inMemory(held.number)
    if (page !== undefined) this.#take(held, page)
    return page !== undefined
  }

  #take({ queue, offsets }: HeldPage, page: Page): void {
    this.#foreseeing.add(queue)
    for (const offset of offsets)
      queue.kept.foresee({ offset, entry: page.entryAt(indexInPage(offset)) })
  }
}

/** Whether applying the record changes an entry that may be on disk. Held records have none. */
function isMovedEntry({ kind, marks: set }: RecordView): boolean {
  return isQueued(kind) && (set & marks.moved) !== 0
}

/** The horizons within a page: at the start of one whole pages go, and of those the directory knows enough. */
function placesWithin(horizons: readonly Horizon[]): Place[] {
  return horizons
    .filter(({ low }) => indexInPage(low) !== 0)
    .map(({ key, low }) => ({ key, at: low }))
}
