import { present } from '@popmq/kit'
import { type Failure, type Offset, offset, type TimeMs } from '@popmq/protocol'

/** The letters of one fingerprint, those that a reset opened again not among them. */
export interface LetterSummary {
  /** `otherFingerprint` where those of many fingerprints are summed up. */
  readonly fingerprint: number
  readonly errorType: string | undefined
  readonly error: string | undefined
  readonly count: number
  readonly open: number
  /** When the first of them died, be it gone by now. */
  readonly firstAt: TimeMs
  /** Of the last that died, which the error is of. */
  readonly lastAt: TimeMs
  readonly newest: Offset
}

type Summary = { -readonly [Field in keyof LetterSummary]: LetterSummary[Field] }

/** A letter as it comes in. */
export interface DiedLetter {
  readonly fingerprint: number
  readonly diedAt: TimeMs
  readonly letter: Offset
  readonly error: Failure | undefined
}

/** No letter has this fingerprint. */
export const otherFingerprint = 0
/** Fingerprints of a group with a summary of their own; with the one of all others a reply holds 10,000. */
const mostSummaries = 9_999
const mostTypeBytes = 256
const mostErrorBytes = 512

/**
 * The letters of a group by fingerprint, each with the error of its newest: at most 256 bytes of its type and 512 of its
 * message. A fingerprint that comes when 9,999 are there has no summary of its own: its letters are summed up, under
 * `otherFingerprint`, with those of all such. They stay there though there may be room later; they are found by their
 * fingerprint all the same. A summary goes with its last letter.
 *
 * Memory: at most 10 MB a group. Snapshot: rows of fingerprint, count, open, first at, last at, newest, type, error.
 */
export class LetterSummaries {
  readonly #most: number
  readonly #summaries = new Map<number, Summary>()

  constructor(most = mostSummaries) {
    this.#most = most
  }

  /** Most letters first. */
  all(): LetterSummary[] {
    return [...this.#summaries.values()].toSorted(
      (a, b) => b.count - a.count || b.lastAt - a.lastAt || a.fingerprint - b.fingerprint,
    )
  }

  get hasOther(): boolean {
    return this.#summaries.has(otherFingerprint)
  }

  /** Takes in an open letter. @returns whether it was summed up with others */
  add({ fingerprint, diedAt, letter, error }: DiedLetter): boolean {
    const owned = this.#summaries.size - (this.hasOther ? 1 : 0)
    const isSummedUp = !this.#summaries.has(fingerprint) && owned >= this.#most
    const name = isSummedUp ? otherFingerprint : fingerprint
    const there = this.#summaries.get(name)
    const told = {
      errorType: cut(error?.type, mostTypeBytes),
      error: cut(error?.message, mostErrorBytes),
      lastAt: diedAt,
      newest: letter,
    }
    if (there === undefined) {
      const first = { fingerprint: name, count: 1, open: 1, firstAt: diedAt }
      this.#summaries.set(name, { ...first, ...told })
    } else {
      Object.assign(there, told, { count: there.count + 1, open: there.open + 1 })
    }
    return isSummedUp
  }

  changed(summary: number, to: 'open' | 'discarded'): void {
    this.#summary(summary).open += to === 'open' ? 1 : -1
  }

  /** A letter goes, or leaves the counts. */
  remove(fingerprint: number, from: 'open' | 'discarded'): void {
    const summary = this.#summary(fingerprint)
    summary.count -= 1
    if (from === 'open') summary.open -= 1
    if (summary.count === 0) this.#summaries.delete(fingerprint)
  }

  encode(): readonly SummarySnapshot[] {
    return [...this.#summaries.values()].map((each) => {
      const { fingerprint, count, open, firstAt, lastAt, newest, errorType, error } = each
      return [fingerprint, count, open, firstAt, lastAt, newest, errorType ?? null, error ?? null]
    })
  }

  restore(rows: readonly SummarySnapshot[]): void {
    for (const [fingerprint, count, open, firstAt, lastAt, newest, type, text] of rows) {
      const told = { errorType: type ?? undefined, error: text ?? undefined }
      const times = { firstAt, lastAt, newest: offset(newest) }
      this.#summaries.set(fingerprint, { fingerprint, count, open, ...times, ...told })
    }
  }

  #summary(fingerprint: number): Summary {
    return present(this.#summaries.get(fingerprint), 'a letter that counts has its summary')
  }
}

export type SummarySnapshot = readonly [
  fingerprint: number,
  count: number,
  open: number,
  firstAt: number,
  lastAt: number,
  newest: number,
  errorType: string | null,
  error: string | null,
]

const encoder = new TextEncoder()
const room = new Uint8Array(mostErrorBytes)

/** As much of a text as fits, whole chars only. */
function cut(text: string | undefined, mostBytes: number): string | undefined {
  if (text === undefined || text.length * 3 <= mostBytes) return text
  return text.slice(0, encoder.encodeInto(text, room.subarray(0, mostBytes)).read)
}
