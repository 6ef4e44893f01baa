import { Heap } from '@popmq/kit'
import type { TimeMs } from '@popmq/protocol'
import type { DelayRows, Row } from './delay-rows.ts'
import { PagedColumn } from './paged-column.ts'

export interface DueQuestion {
  readonly nowMs: TimeMs
  readonly most: number
  readonly isWithheld: (row: Row) => boolean
}

/**
 * The rows of a table by due time, then by number: a binary heap of row indexes. The table keeps each row's place in the
 * heap, so that a row is taken out, or put right after its time changed, without a search. 4 bytes a row.
 */
export class DueHeap {
  readonly #rows: DelayRows
  readonly #heap = new PagedColumn((rows) => new Uint32Array(rows))
  #size = 0

  constructor(rows: DelayRows) {
    this.#rows = rows
  }

  get bytes(): number {
    return this.#heap.bytes
  }

  /** The row that is due first. */
  peek(): Row | undefined {
    return this.#size === 0 ? undefined : this.#heap.get(0)
  }

  push(row: Row): void {
    this.#size += 1
    this.#heap.resize(this.#size)
    this.#rise(this.#size - 1, row)
  }

  /** Takes a row out. */
  remove(row: Row): void {
    const place = this.#rows.heapPlace(row)
    const last = this.#heap.get(this.#size - 1)
    this.#size -= 1
    this.#heap.resize(this.#size)
    if (last !== row) this.#settle(place, last)
  }

  /** Puts a row right whose due time changed. */
  update(row: Row): void {
    this.#settle(this.#rows.heapPlace(row), row)
  }

  /** The index of a row changed, its number and time did not; its place in the table moved with it. */
  renamed(row: Row): void {
    this.#heap.set(this.#rows.heapPlace(row), row)
  }

  /** Keeps the rows that are not dead, after many died at once. */
  rebuild(): void {
    const { end } = this.#rows
    this.#size = this.#rows.size
    this.#heap.resize(this.#size)
    let place = 0
    for (let row = 0; row < end; row += 1) {
      if (!this.#rows.isLive(row)) continue
      this.#put(place, row)
      place += 1
    }
    for (let parent = (this.#size >>> 1) - 1; parent >= 0; parent -= 1)
      this.#sink(parent, this.#heap.get(parent))
  }

  /**
   * The rows that are due, the first to be due first. Changes nothing: it walks down from the top, so that withheld rows
   * cost no more than one look each.
   */
  due({ nowMs, most, isWithheld }: DueQuestion): Row[] {
    const found: Row[] = []
    const frontier = new Heap<number>((a, b) =>
      this.#isBefore(this.#heap.get(a), this.#heap.get(b)),
    )
    const look = (place: number): void => {
      if (place < this.#size && this.#rows.dueAt(this.#heap.get(place)) <= nowMs)
        frontier.push(place)
    }
    look(0)
    while (found.length < most) {
      const place = frontier.pop()
      if (place === undefined) break
      const row = this.#heap.get(place)
      if (!isWithheld(row)) found.push(row)
      look(2 * place + 1)
      look(2 * place + 2)
    }
    return found
  }

  #settle(place: number, row: Row): void {
    const parent = (place - 1) >> 1
    if (place > 0 && this.#isBefore(row, this.#heap.get(parent))) this.#rise(place, row)
    else this.#sink(place, row)
  }

  #rise(from: number, row: Row): void {
    let place = from
    while (place > 0) {
      const parent = (place - 1) >> 1
      const above = this.#heap.get(parent)
      if (!this.#isBefore(row, above)) break
      this.#put(place, above)
      place = parent
    }
    this.#put(place, row)
  }

  #sink(from: number, row: Row): void {
    let place = from
    for (;;) {
      const left = 2 * place + 1
      if (left >= this.#size) break
      const right = left + 1
      const isRight =
        right < this.#size && this.#isBefore(this.#heap.get(right), this.#heap.get(left))
      const child = isRight ? right : left
      const below = this.#heap.get(child)
      if (!this.#isBefore(below, row)) break
      this.#put(place, below)
      place = child
    }
    this.#put(place, row)
  }

  #put(place: number, row: Row): void {
    this.#heap.set(place, row)
    this.#rows.setHeapPlace(row, place)
  }

  /** Rows ascend as their numbers do. */
  #isBefore(a: Row, b: Row): boolean {
    const [dueA, dueB] = [this.#rows.dueAt(a), this.#rows.dueAt(b)]
    return dueA < dueB || (dueA === dueB && a < b)
  }
}
