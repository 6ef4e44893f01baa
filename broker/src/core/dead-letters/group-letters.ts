import {
  type Failure,
  type GroupId,
  type LetterState,
  type Offset,
  offset,
  type PartitionKey,
  type TimeMs,
  type TopicId,
} from '@popmq/protocol'
import { LetterPlaces, type PlaceCounts, type PlaceSnapshot } from './letter-places.ts'
import { type Letter, LetterRow, LetterRows } from './letter-rows.ts'
import { LetterSummaries, otherFingerprint, type SummarySnapshot } from './letter-summaries.ts'

/** The dead letters that came from one partition. */
export interface PlaceReport extends PlaceCounts {
  readonly key: PartitionKey
  /** Of the open letter whose message was appended first: when that was, and when it died. Absent without an open one. */
  readonly oldestOpen?: { readonly firstAppendedAt: TimeMs; readonly diedAt: TimeMs }
}

export interface LetterQuestion {
  /** The last one seen; absent: from the oldest on. */
  readonly after: Offset | undefined
  /** Absent: all. */
  readonly fingerprint: number | undefined
  /** How many are wanted, and how many are looked at. */
  readonly limit: number
  readonly mostLooked: number
}

export interface LettersFound {
  readonly letters: readonly Offset[]
  /** The last one looked at; undefined when there was none to look at. */
  readonly last: Offset | undefined
  /** Nothing follows. */
  readonly isComplete: boolean
}

/**
 * The dead letters of one group on this replica set.
 *
 *     open ──discarded──▶ discarded ──restored──▶ open
 *     open, discarded ──reset──▶ reopened           readable, in no count any more, for good
 *     any ──retention──▶ gone                       an open or discarded one stays counted as left
 */
export class GroupLetters {
  readonly groupId: GroupId
  /** The partition that the letters stand in. */
  readonly key: PartitionKey
  readonly summaries: LetterSummaries
  #rows: LetterRows
  #places = new LetterPlaces()
  readonly #row = new LetterRow()

  /** Without letters yet: `next` is the first to come. */
  constructor(place: { groupId: GroupId; key: PartitionKey; next: Offset }, most?: number) {
    this.groupId = place.groupId
    this.key = place.key
    this.#rows = new LetterRows(place.next)
    this.summaries = new LetterSummaries(most)
  }

  get low(): Offset {
    return this.#rows.low
  }
  get high(): Offset {
    return this.#rows.high
  }

  /** Undefined for a letter that is not there. */
  state(letter: Offset): LetterState | undefined {
    return this.#rows.has(letter) ? this.#rows.read(letter, this.#row).state : undefined
  }

  /** What is known of a letter that is there; good until the next call. */
  letter(letter: Offset): Letter & { readonly state: LetterState } {
    return this.#rows.read(letter, this.#row)
  }

  counts(key: PartitionKey): PlaceCounts {
    return this.#places.counts(key)
  }

  /** By partition of the first copy. Looks at every letter: some 10 ms for a hundred thousand. */
  places(): PlaceReport[] {
    const oldest = new Map<PartitionKey, { firstAppendedAt: TimeMs; diedAt: TimeMs }>()
    for (const row of this.#all()) {
      if (row.state !== 'open' || row.isPlaceless) continue
      const { key, firstAppendedAt, diedAt } = row
      if (firstAppendedAt < (oldest.get(key)?.firstAppendedAt ?? Number.POSITIVE_INFINITY))
        oldest.set(key, { firstAppendedAt, diedAt })
    }
    return [...this.#places.keys()].map((key) => {
      const found = oldest.get(key)
      return { key, ...this.counts(key), ...(found === undefined ? {} : { oldestOpen: found }) }
    })
  }

  find({ after, fingerprint, limit, mostLooked }: LetterQuestion): LettersFound {
    const from = after === undefined ? this.low : Math.max(this.low, after + 1)
    const letters: Offset[] = []
    let next = from
    while (next < this.high && letters.length < limit && next - from < mostLooked) {
      const row = this.#rows.read(next, this.#row)
      if (fingerprint === undefined || row.fingerprint === fingerprint) letters.push(offset(next))
      next += 1
    }
    const last = next === from ? undefined : offset(next - 1)
    return { letters, last, isComplete: next >= this.high }
  }

  died(letter: Letter, error: Failure | undefined): void {
    const row = this.#rows.append(letter, this.#row)
    const newest = offset(this.high - 1)
    if (this.summaries.add({ ...letter, letter: newest, error })) row.noteSummedUp()
    this.#places.opened(letter.key)
  }

  /** A letter that is gone, reopened, or in that state already stays as it is. */
  change(letter: Offset, to: 'open' | 'discarded'): void {
    if (!this.#rows.has(letter)) return
    const row = this.#rows.read(letter, this.#row)
    if (row.state === 'reopened' || row.state === to) return
    row.state = to
    this.summaries.changed(summaryOf(row), to)
    if (!row.isPlaceless) this.#places.changed(row.key, to)
  }

  /** Messages of a partition from an offset on are delivered again. */
  reopen(key: PartitionKey, from: Offset): void {
    this.#places.reset(key, from)
    for (const row of this.#all()) {
      const { state } = row
      if (state === 'reopened' || row.key !== key || row.offset < from || row.isPlaceless) continue
      this.summaries.remove(summaryOf(row), state)
      this.#places.reopened(key, state)
      row.state = 'reopened'
    }
  }

  /** Letters below a new low are gone. */
  expireBelow(low: Offset): void {
    const end = offset(Math.min(low, this.high))
    if (end <= this.low) return
    for (const row of this.#all(end)) {
      const { state } = row
      if (state === 'reopened') continue
      this.summaries.remove(summaryOf(row), state)
      if (!row.isPlaceless) this.#places.expired(row, state)
    }
    this.#rows.dropBelow(end)
  }

  /** A partition that letters came from keeps nothing below `low`. */
  originHorizon(key: PartitionKey, low: Offset): void {
    this.#places.horizon(key, low)
  }

  /** A topic that letters came from is gone: they stay, and count for no partition. */
  originGone(topic: TopicId): void {
    const known = new Set(this.#places.keys())
    if (!this.#places.forgetTopic(topic)) return
    const left = new Set(this.#places.keys())
    for (const row of this.#all()) if (known.has(row.key) && !left.has(row.key)) row.notePlaceless()
  }

  encode(): GroupSnapshot {
    const { groupId, key, low, high } = this
    const parts = [this.#rows.encode(), this.summaries.encode(), this.#places.encode()] as const
    return [groupId, key, low, high, ...parts]
  }

  static restore(
    [group, key, low, high, rows, ...rest]: GroupSnapshot,
    most?: number,
  ): GroupLetters {
    const place = { groupId: group, key, next: offset(low) }
    const letters = new GroupLetters(place, most)
    letters.#rows = LetterRows.restore(offset(low), offset(high), rows)
    letters.summaries.restore(rest[0])
    letters.#places = LetterPlaces.restore(rest[1])
    return letters
  }

  /** The one row, moved from letter to letter. */
  *#all(end: Offset = this.high): Generator<LetterRow> {
    for (let letter: number = this.low; letter < end; letter += 1)
      yield this.#rows.read(letter, this.#row)
  }
}

/** Group id, partition key, low, high, pages, summaries, places. */
export type GroupSnapshot = readonly [
  groupId: GroupId,
  key: PartitionKey,
  low: number,
  high: number,
  rows: Uint8Array,
  summaries: readonly SummarySnapshot[],
  places: readonly PlaceSnapshot[],
]

function summaryOf(row: LetterRow): number {
  return row.isSummedUp ? otherFingerprint : row.fingerprint
}
