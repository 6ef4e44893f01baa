import { assert } from '@popmq/kit'
import type { Spans } from './live-bytes.ts'

const rowWidth = 4
const column = { location: 0, firstTime: 1, segment: 2, bytes: 3 } as const
/** The location of a page that is on no disk yet. */
export const nowhere = -1

/**
 * The full pages of one partition, from the one of the first readable offset on. 32 bytes a page in one typed array:
 *
 *     location    of the page in the index files, or `nowhere`
 *     first time  append time of its first entry, ms
 *     segment     number of a log segment that its live entries point into
 *     bytes       of those entries
 *
 * A page whose entries point into several segments has the others in a map beside. That is at most one page per
 * partition and segment, since a partition's positions rise with its offsets, and those that cleaning has half moved.
 */
export class PageDirectory {
  #first: number
  #rows = new Float64Array(0)
  /** Rows before this one are of pages that are gone. */
  #start = 0
  #count = 0
  #furtherSpans: Map<number, Spans> | undefined

  /** `first` is the number of the first page to come. */
  constructor(first: number) {
    this.#first = first
  }

  get first(): number {
    return this.#first
  }
  /** The number behind the last full page: that of the page being filled. */
  get end(): number {
    return this.#first + this.#count
  }

  has(page: number): boolean {
    return page >= this.#first && page < this.end
  }

  /** Adds the next page, `nowhere` yet. */
  push(firstTime: number, spans: Spans): void {
    this.#makeRoom()
    const page = this.end
    this.#count += 1
    this.place(page, nowhere)
    this.setFirstTime(page, firstTime)
    this.setSpans(page, spans)
  }

  location(page: number): number {
    return this.#get(page, column.location)
  }
  place(page: number, location: number): void {
    this.#set(page, column.location, location)
  }

  firstTime(page: number): number {
    return this.#get(page, column.firstTime)
  }
  setFirstTime(page: number, timeMs: number): void {
    this.#set(page, column.firstTime, timeMs)
  }

  setSpans(page: number, spans: Spans): void {
    this.#set(page, column.segment, spans[0] ?? 0)
    this.#set(page, column.bytes, spans[1] ?? 0)
    if (spans.length > 2) {
      this.#furtherSpans ??= new Map()
      this.#furtherSpans.set(page, spans.slice(2))
    } else this.#furtherSpans?.delete(page)
  }

  spans(page: number): Spans {
    const further = this.#furtherSpans?.get(page) ?? []
    return [this.#get(page, column.segment), this.#get(page, column.bytes), ...further]
  }

  /** Live bytes of the page's entries. */
  bytes(page: number): number {
    let sum = this.#get(page, column.bytes)
    const further = this.#furtherSpans?.get(page) ?? []
    for (let at = 1; at < further.length; at += 2) sum += further[at] ?? 0
    return sum
  }

  /** Forgets the pages below `page`. `leaving` is told the spans of each. */
  dropBelow(page: number, leaving: (spans: Spans) => void): void {
    while (this.#count > 0 && this.#first < page) {
      leaving(this.spans(this.#first))
      this.#furtherSpans?.delete(this.#first)
      this.#first += 1
      this.#start += 1
      this.#count -= 1
    }
    if (this.#count === 0) {
      this.#first = Math.max(this.#first, page)
      this.#start = 0
    }
  }

  /** Doubles the array when it is full; moves the rows to its front when half of it is of pages that are gone. */
  #makeRoom(): void {
    const capacity = this.#rows.length / rowWidth
    if (this.#start + this.#count < capacity) return
    const rows =
      this.#start > capacity / 2
        ? this.#rows
        : new Float64Array(Math.max(4, capacity * 2) * rowWidth)
    const from = this.#start * rowWidth
    if (rows === this.#rows) rows.copyWithin(0, from)
    else rows.set(this.#rows.subarray(from))
    this.#rows = rows
    this.#start = 0
  }

  #get(page: number, field: number): number {
    return this.#rows[this.#at(page) + field] ?? 0
  }
  #set(page: number, field: number, value: number): void {
    this.#rows[this.#at(page) + field] = value
  }
  #at(page: number): number {
    assert(this.has(page), 'the directory knows the page that is asked for')
    return (this.#start + page - this.#first) * rowWidth
  }
}
