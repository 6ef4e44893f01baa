import { assert } from '@popmq/kit'
import type { Offset } from '@popmq/protocol'
import { noBounds, outOfRange } from './bounds.ts'
import type { EntryView } from './entry.ts'
import { entriesPerPage, entryStart, indexInPage } from './page.ts'

export interface SliceOptions {
  /** 1..16,384; more is taken as that. @defaultValue 1,024 */
  readonly maxEntries?: number
}

/** Most entries in one slice: about half a MiB of pages. */
export const mostEntries = 16_384

/**
 * Neighbouring entries of one partition: views of the pages that hold them, nothing copied. When cleaning moves a
 * record meanwhile, its entry may show the old position or the new one: both hold the same bytes until the old segment
 * goes, which waits for its readers.
 */
export class EntryRange {
  /** The offset of the first entry. */
  readonly from: Offset
  /** How many entries; 0 when `from` is the next offset to come. */
  readonly count: number
  readonly #pages: readonly Uint8Array[]
  readonly #skip: number

  /** `pages` are the pages of [from, from + count), in order. */
  constructor(from: Offset, count: number, pages: readonly Uint8Array[]) {
    this.from = from
    this.count = count
    this.#pages = pages
    this.#skip = indexInPage(from)
  }

  /** The offset behind the last entry. */
  get end(): Offset {
    return (this.from + this.count) as Offset
  }

  /** Moves `view` to the entry of offset `from + index`. */
  entry(index: number, view: EntryView): EntryView {
    const place = this.#skip + index
    const page = this.#pages[Math.floor(place / entriesPerPage)]
    assert(page !== undefined && index < this.count, 'an entry is asked for within its range')
    return view.move(page, entryStart(place % entriesPerPage))
  }
}

/** Of a partition that has had no message. @throws MqError `offset_out_of_range` for any offset but 0 */
export function emptyRange(from: Offset): EntryRange {
  if (from > noBounds.high) throw outOfRange(from, noBounds)
  return new EntryRange(from, 0, [])
}
