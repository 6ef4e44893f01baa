import { assert, present } from '@popmq/kit'
import {
  type LetterState,
  letterStates,
  type Offset,
  offset,
  type PartitionKey,
  readU48,
  readU64,
  type TimeMs,
  writeU48,
  writeU64,
} from '@popmq/protocol'

/** What is known of a letter without reading its record. */
export interface Letter {
  /** Where its message was first. */
  readonly key: PartitionKey
  readonly offset: Offset
  readonly firstAppendedAt: TimeMs
  /** Never 0: without an error that of its outcome. */
  readonly fingerprint: number
  readonly diedAt: TimeMs
}

/**
 * A row, little-endian, 34 bytes:
 *
 *     0  u8   state           index in `letterStates`
 *     1  u8   notes           1 = summed up with others, 2 = counts for no partition
 *     2  u48  partition key   of the first copy
 *     8  u64  offset          of the first copy
 *    16  u48  fingerprint
 *    22  u48  died at
 *    28  u48  first appended at
 */
const rowBytes = 34
const at = { state: 0, notes: 1, key: 2, offset: 8, fingerprint: 16, diedAt: 22, appendedAt: 28 }
const notes = { summedUp: 1, placeless: 2 } as const
const rowsPerPage = 128
const pageBytes = rowBytes * rowsPerPage

/** The row of a letter, read and changed in place. One instance may be moved over many rows. */
export class LetterRow implements Letter {
  #view: DataView = new DataView(new ArrayBuffer(rowBytes))
  #start = 0

  /** Moves to a row of a page. */
  move(page: DataView, index: number): this {
    this.#view = page
    this.#start = index * rowBytes
    return this
  }

  get state(): LetterState {
    return present(letterStates[this.#view.getUint8(this.#start)], 'a letter is in a known state')
  }
  set state(state: LetterState) {
    this.#view.setUint8(this.#start, letterStates.indexOf(state))
  }
  /** Its fingerprint has no summary of its own. */
  get isSummedUp(): boolean {
    return this.#has(notes.summedUp)
  }
  /** Its first copy's topic is gone. */
  get isPlaceless(): boolean {
    return this.#has(notes.placeless)
  }
  get key(): PartitionKey {
    return readU48(this.#view, this.#start + at.key) as PartitionKey
  }
  get offset(): Offset {
    return offset(readU64(this.#view, this.#start + at.offset))
  }
  get fingerprint(): number {
    return readU48(this.#view, this.#start + at.fingerprint)
  }
  get diedAt(): TimeMs {
    return readU48(this.#view, this.#start + at.diedAt)
  }
  get firstAppendedAt(): TimeMs {
    return readU48(this.#view, this.#start + at.appendedAt)
  }

  /** Writes an open letter. */
  write(letter: Letter): void {
    const view = this.#view
    const start = this.#start
    this.state = 'open'
    view.setUint8(start + at.notes, 0)
    writeU48(view, start + at.key, letter.key)
    writeU64(view, start + at.offset, letter.offset)
    writeU48(view, start + at.fingerprint, letter.fingerprint)
    writeU48(view, start + at.diedAt, letter.diedAt)
    writeU48(view, start + at.appendedAt, letter.firstAppendedAt)
  }

  noteSummedUp(): void {
    this.#note(notes.summedUp)
  }
  notePlaceless(): void {
    this.#note(notes.placeless)
  }

  #has(note: number): boolean {
    return (this.#view.getUint8(this.#start + at.notes) & note) !== 0
  }
  #note(note: number): void {
    const start = this.#start + at.notes
    this.#view.setUint8(start, this.#view.getUint8(start) | note)
  }
}

/** The letters [low, high) of one partition, 34 bytes each, in pages of 128: a group with one letter costs 4 KiB. */
export class LetterRows {
  #pages: DataView[] = []
  #low: number
  #high: number

  /** Empty; `next` is the first letter to come. */
  constructor(next: Offset) {
    this.#low = next
    this.#high = next
  }

  get low(): Offset {
    return offset(this.#low)
  }
  get high(): Offset {
    return offset(this.#high)
  }

  has(letter: number): boolean {
    return letter >= this.#low && letter < this.#high
  }

  /** Moves `row` to a letter that is there. */
  read(letter: number, row: LetterRow): LetterRow {
    assert(this.has(letter), 'a letter is read where there is one')
    const page = this.#pages[pageOf(letter) - pageOf(this.#low)]
    return row.move(present(page, 'every letter has its page'), letter % rowsPerPage)
  }

  /** Adds the next letter, and moves `row` to it. */
  append(letter: Letter, row: LetterRow): LetterRow {
    const index = pageOf(this.#high) - pageOf(this.#low)
    if (index === this.#pages.length) this.#pages.push(new DataView(new ArrayBuffer(pageBytes)))
    this.#high += 1
    this.read(this.#high - 1, row).write(letter)
    return row
  }

  /** Drops letters below a new low, which is not above high. */
  dropBelow(low: Offset): void {
    assert(low >= this.#low && low <= this.#high, 'letters are dropped from the oldest on')
    this.#pages.splice(0, pageOf(low) - pageOf(this.#low))
    this.#low = low
  }

  /** All pages, one behind the other. */
  encode(): Uint8Array {
    const bytes = new Uint8Array(this.#pages.length * pageBytes)
    for (const [index, { buffer }] of this.#pages.entries())
      bytes.set(new Uint8Array(buffer), index * pageBytes)
    return bytes
  }

  static restore(low: Offset, high: Offset, bytes: Uint8Array): LetterRows {
    const rows = new LetterRows(low)
    assert(bytes.length % pageBytes === 0, 'a snapshot of letters is whole pages')
    for (let start = 0; start < bytes.length; start += pageBytes)
      rows.#pages.push(new DataView(bytes.slice(start, start + pageBytes).buffer))
    rows.#high = high
    const needed = high === low ? 0 : pageOf(high - 1) - pageOf(low) + 1
    assert(rows.#pages.length >= needed, 'a snapshot of letters has a page for each')
    return rows
  }
}

function pageOf(letter: number): number {
  return Math.floor(letter / rowsPerPage)
}
