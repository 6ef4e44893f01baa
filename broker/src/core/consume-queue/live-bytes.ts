import { assert, present } from '@popmq/kit'
import type { LogPosition } from '@popmq/protocol'
import type { Page } from './page.ts'

/** `[segment number, live bytes in it, …]`: where the records of some entries lie. */
export type Spans = readonly number[]

export interface SegmentBytes {
  readonly base: LogPosition
  readonly bytes: number
}

/**
 * How many bytes of each log segment entries still point at: what cleaning would have to move. Segments are numbered
 * as they are made, so that a page can name one in a word; a number is never used again.
 */
export class LiveBytes {
  readonly #bases: LogPosition[] = []
  readonly #bytes: number[] = []
  readonly #numbers = new Map<LogPosition, number>()
  /** Segments with a lower number are gone. */
  #dropped = 0

  /** The number of the newest segment; −1 before the first. */
  get newest(): number {
    return this.#bases.length - 1
  }

  /** Makes the segment that begins at `base` known. @returns its number, or undefined when it is not a new one */
  open(base: LogPosition): number | undefined {
    const last = this.#bases.at(-1)
    if (last !== undefined && base <= last) return undefined
    const number = this.#bases.push(base) - 1
    this.#bytes.push(0)
    this.#numbers.set(base, number)
    return number
  }

  /** The number of the segment that holds `position`. */
  numberAt(position: number): number {
    let low = 0
    let high = this.#bases.length - 1
    if (position >= (this.#bases[high] ?? Number.POSITIVE_INFINITY)) return high
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if ((this.#bases[middle] ?? 0) <= position) low = middle
      else high = middle - 1
    }
    assert(
      position >= (this.#bases[low] ?? Number.POSITIVE_INFINITY),
      'a record lies in a known segment',
    )
    return low
  }

  numberOf(base: LogPosition): number | undefined {
    return this.#numbers.get(base)
  }

  add(number: number, bytes: number): void {
    const live = (this.#bytes[number] ?? 0) + bytes
    assert(live >= 0, 'a segment holds no fewer than 0 live bytes')
    this.#bytes[number] = live
  }

  /** Counts bytes out. @returns how many */
  letGo(spans: Spans): number {
    let sum = 0
    for (let at = 0; at < spans.length; at += 2) {
      const bytes = spans[at + 1] ?? 0
      this.add(spans[at] ?? 0, -bytes)
      sum += bytes
    }
    return sum
  }

  /** Where the records of the entries [from, to) of a page lie. */
  spansOf(page: Page, { from, to }: { readonly from: number; readonly to: number }): Spans {
    const spans: number[] = []
    let at = -1
    for (let index = from; index < to; index += 1) {
      const number = this.numberAt(page.positionAt(index))
      if (spans[at] !== number) at = placeOf(spans, number)
      spans[at + 1] = (spans[at + 1] ?? 0) + page.sizeAt(index)
    }
    return spans
  }

  /** Spans with segments named as on disk. */
  named(spans: Spans): SegmentBytes[] {
    const live: SegmentBytes[] = []
    for (let at = 0; at < spans.length; at += 2) {
      live.push({ base: this.#baseOf(spans[at] ?? 0), bytes: spans[at + 1] ?? 0 })
    }
    return live
  }

  /** @returns 0 for a segment that was dropped. One that was never made known is no dead one: asking for it is a defect */
  of(base: LogPosition): number {
    const number = this.#numbers.get(base)
    const isDropped = number === undefined && base < (this.#bases[this.#dropped] ?? -1)
    assert(
      number !== undefined || isDropped,
      'a segment is made known before its live bytes are asked for',
    )
    return isDropped ? 0 : (this.#bytes[number ?? -1] ?? 0)
  }

  /** Only a segment without live bytes is dropped. */
  assertDead(base: LogPosition): void {
    assert(this.of(base) === 0, 'a segment is dropped when nothing in it is live')
  }

  dropOldest(): void {
    const base = this.#baseOf(this.#dropped)
    this.assertDead(base)
    this.#numbers.delete(base)
    this.#dropped += 1
  }

  /** The segments that are left, oldest first. */
  all(): SegmentBytes[] {
    return [...this.#numbers].map(([base, number]) => ({ base, bytes: this.#bytes[number] ?? 0 }))
  }

  #baseOf(number: number): LogPosition {
    return present(this.#bases[number], 'a segment number was given to a segment')
  }
}

/** Where the span of a segment is; adds an empty one when there is none. */
function placeOf(spans: number[], number: number): number {
  for (let at = 0; at < spans.length; at += 2) if (spans[at] === number) return at
  return spans.push(number, 0) - 2
}
