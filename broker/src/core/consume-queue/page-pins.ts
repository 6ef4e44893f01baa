import {
  marks,
  type Offset,
  partitionKey,
  type PartitionKey,
  recordKinds,
  type RecordView,
} from '@popmq/protocol'
import type { ConsumeQueue } from './consume-queue.ts'
import { decodeHorizon } from './horizon.ts'
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

/**
 * Pages kept in memory for records that are about to be applied: those of moved records, and those in which a new
 * horizon falls. Applying cannot wait; so they are loaded before.
 */
export class PagePins {
  readonly #queueOf: (key: PartitionKey) => ConsumeQueue | undefined
  readonly #reader: PageReader
  #pinned: readonly WantedPage[] = []

  constructor(queueOf: (key: PartitionKey) => ConsumeQueue | undefined, reader: PageReader) {
    this.#queueOf = queueOf
    this.#reader = reader
  }

  /** Pins what these records need in place of what was pinned. @returns undefined when there is nothing to wait for */
  pin(records: Iterable<RecordView>): Promise<void> | undefined {
    // Before the old pins go: they may hold what is wanted again.
    const wanted: WantedPage[] = []
    for (const record of records) {
      if (needsPages(record))
        wanted.push(...placesNeeded(record).flatMap((place) => this.#wantedAt(place)))
    }
    if (wanted.length === 0) return undefined
    for (const { queue } of this.#pinned) queue.pages.unpin()
    this.#pinned = wanted
    const loads: Promise<void>[] = []
    for (const { queue, number, page } of wanted) {
      if (page === undefined) loads.push(this.#load(queue, number))
      else queue.pages.pin(page)
    }
    return loads.length === 0 ? undefined : Promise.all(loads).then(() => undefined)
  }

  #wantedAt({ key, at }: Place): WantedPage[] {
    const queue = this.#queueOf(key)
    // What lies below says nothing; nothing lies above.
    if (queue === undefined || at < queue.low || at >= queue.high) return []
    return [{ queue, number: pageOf(at), page: queue.pages.inMemory(pageOf(at)) }]
  }

  async #load({ key, pages }: ConsumeQueue, number: number): Promise<void> {
    pages.pin(await this.#reader.load(pages.location(number), { key, number }))
  }
}

/** Whether entries that may be on disk are touched when the record is applied. */
function needsPages({ kind, marks: set }: RecordView): boolean {
  return kind === recordKinds.horizon || (kind === recordKinds.message && (set & marks.moved) !== 0)
}

/** The offsets whose entries must be in memory then. */
function placesNeeded(record: RecordView): Place[] {
  if (record.kind !== recordKinds.horizon) {
    return [{ key: partitionKey(record.topicId, record.partition), at: record.offset }]
  }
  // At the start of a page whole pages go, and of those the directory knows enough.
  const within = decodeHorizon(record.body).filter(({ low }) => indexInPage(low) !== 0)
  return within.map(({ key, low }) => ({ key, at: low }))
}
