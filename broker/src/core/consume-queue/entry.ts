import {
  type LogPosition,
  logPosition,
  readU48,
  readU64,
  writeU48,
  writeU64,
} from '@popmq/protocol'

/**
 * One entry of a consume queue, little-endian, 32 bytes. Fixed size, so that an offset becomes an entry by arithmetic,
 * and tags are filtered and times searched without reading the log.
 *
 *     0  u64  log position    of the record
 *     8  u32  size            of the record
 *    12  u16  record flags
 *    14  u8   kind
 *    15  u8   attempt
 *    16  u32  tag hash        0 without a tag
 *    20  u32  key hash        0 without a key
 *    24  u48  appended at     ms since 1970
 *    30  u16  kept, 0
 */
export const entryBytes = 32

const at = {
  position: 0,
  size: 8,
  flags: 12,
  kind: 14,
  attempt: 15,
  tagHash: 16,
  keyHash: 20,
  appendedAt: 24,
} as const

/** What an entry takes from its record: a `RecordView` is one. */
export interface EntrySource {
  readonly position: LogPosition
  readonly length: number
  readonly flags: number
  readonly kind: number
  readonly attempt: number
  readonly tagHash: number
  readonly keyHash: number
  readonly appendedAt: number
}

/** An entry as it is read. */
export interface Entry {
  /** Where the record begins in the log. */
  readonly position: LogPosition
  /** Bytes of the whole record. */
  readonly size: number
  /** The flags of the record: value form and sections. */
  readonly flags: number
  readonly kind: number
  readonly attempt: number
  readonly tagHash: number
  readonly keyHash: number
  /** Ms since 1970. */
  readonly appendedAt: number
}

/** The entry at a place of some bytes, read in place. One instance may be moved over many: nothing is allocated. */
export class EntryView implements Entry {
  #bytes: Uint8Array = new Uint8Array(0)
  #view = viewOf(this.#bytes)
  #start = 0

  /** Moves to the entry at `start` of `bytes`. */
  move(bytes: Uint8Array, start: number): this {
    if (bytes !== this.#bytes) {
      this.#bytes = bytes
      this.#view = viewOf(bytes)
    }
    this.#start = start
    return this
  }

  get position(): LogPosition {
    return logPosition(readU64(this.#view, this.#start + at.position))
  }
  get size(): number {
    return this.#view.getUint32(this.#start + at.size, true)
  }
  get flags(): number {
    return this.#view.getUint16(this.#start + at.flags, true)
  }
  get kind(): number {
    return this.#view.getUint8(this.#start + at.kind)
  }
  get attempt(): number {
    return this.#view.getUint8(this.#start + at.attempt)
  }
  get tagHash(): number {
    return this.#view.getUint32(this.#start + at.tagHash, true)
  }
  get keyHash(): number {
    return this.#view.getUint32(this.#start + at.keyHash, true)
  }
  get appendedAt(): number {
    return readU48(this.#view, this.#start + at.appendedAt)
  }
}

export function writeEntry(view: DataView, start: number, source: EntrySource): void {
  writeU64(view, start + at.position, source.position)
  view.setUint32(start + at.size, source.length, true)
  view.setUint16(start + at.flags, source.flags, true)
  view.setUint8(start + at.kind, source.kind)
  view.setUint8(start + at.attempt, source.attempt)
  view.setUint32(start + at.tagHash, source.tagHash, true)
  view.setUint32(start + at.keyHash, source.keyHash, true)
  writeU48(view, start + at.appendedAt, source.appendedAt)
}

/** The entry at `start`, apart from the bytes that it was in. */
export function readEntry(bytes: Uint8Array, start: number): Entry {
  const { position, size, flags, kind, attempt, tagHash, keyHash, appendedAt } =
    new EntryView().move(bytes, start)
  return { position, size, flags, kind, attempt, tagHash, keyHash, appendedAt }
}

/** The bytes of an entry that was read. */
export function entryBytesOf(entry: Entry): Uint8Array {
  const bytes = new Uint8Array(entryBytes)
  writeEntry(viewOf(bytes), 0, { ...entry, length: entry.size })
  return bytes
}

/** Points a written entry at a copy of its record; all else stays. */
export function repointEntry(view: DataView, start: number, position: LogPosition): void {
  writeU64(view, start + at.position, position)
}

export function entryPosition(view: DataView, start: number): number {
  return readU64(view, start + at.position)
}

export function entrySize(view: DataView, start: number): number {
  return view.getUint32(start + at.size, true)
}

export function entryTime(view: DataView, start: number): number {
  return readU48(view, start + at.appendedAt)
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
