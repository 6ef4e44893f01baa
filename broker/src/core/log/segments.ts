import { assert, present, type Storage, StorageError, type StorageFile, writeAll } from '@popmq/kit'
import { type LogPosition, logPosition } from '@popmq/protocol'

/** One file of the log: the bytes [base, end). A record never spans two. */
export interface Segment {
  readonly base: LogPosition
  readonly file: StorageFile
  end: LogPosition
  /** Where the file ends: at `end`, or behind zeros that wait to be written over. */
  fileEnd: LogPosition
}

const mostRoomBytes = 262_144
/** Of the room: writes of so many bytes and more pay for their own. */
const largeShare = 2

/** How many zeros are written ahead in files of this size. */
export function roomOf(segmentBytes: number): number {
  return Math.min(mostRoomBytes, Math.floor(segmentBytes / 64))
}

export const logFolder = 'log'

/** `log/00000000000001048576.log`: a segment is named by its base position. */
export function segmentPath(base: LogPosition): string {
  return `${logFolder}/${String(base).padStart(20, '0')}.log`
}

/** @returns undefined for a name that is not a segment's */
export function segmentBase(name: string): LogPosition | undefined {
  const match = /^(\d{20})\.log$/.exec(name)
  return match === null ? undefined : logPosition(Number(match[1]))
}

/**
 * The files of the log, oldest first, each beginning where the one before ends. The last is the active one: writes go
 * there. Before a new file is made the old one is synced, so only the last can have a torn tail.
 *
 *     base ────── records ────── end ── zeros ── fileEnd
 *
 * A sync of a file that has grown waits for the file system to write down its size and blocks, which takes longer than
 * the bytes. So small writes find room: now and then zeros are written ahead, synced with the write before them. They
 * are cut off when the file is done with; after a crash recovery finds a torn tail of zeros.
 */
export class Segments {
  readonly #storage: Storage
  readonly #segments: Segment[]
  readonly #roomBytes: number

  private constructor(storage: Storage, segments: Segment[], roomBytes: number) {
    this.#storage = storage
    this.#segments = segments
    this.#roomBytes = roomBytes
  }

  /** Opens every segment file there is; see `roomOf`. Continuity is recovery's business. */
  static async open(storage: Storage, roomBytes = 0): Promise<Segments> {
    const segments: Segment[] = []
    for (const { name, bytes } of await storage.list(logFolder)) {
      const base = segmentBase(name)
      if (base === undefined) continue
      const file = present(await storage.open(segmentPath(base)), 'a listed file can be opened')
      const end = logPosition(base + bytes)
      segments.push({ base, file, end, fileEnd: end })
    }
    return new Segments(storage, segments, roomBytes)
  }

  get all(): readonly Segment[] {
    return this.#segments
  }

  get oldest(): Segment | undefined {
    return this.#segments[0]
  }

  get active(): Segment {
    return present(this.#segments.at(-1), 'the log has a segment')
  }

  /** Where the first byte lies. */
  get start(): LogPosition {
    return this.#segments[0]?.base ?? logPosition(0)
  }

  /** The segment that holds `position`. */
  at(position: LogPosition): Segment {
    const segment = this.#segments.findLast(({ base }) => base <= position)
    return present(segment, 'a position that is read lies in a segment')
  }

  /** Makes the file that begins at `base`, durable by name; the one before is synced first. */
  async roll(base: LogPosition): Promise<void> {
    const last = this.#segments.at(-1)
    assert(last === undefined || last.end === base, 'a segment begins where the one before ends')
    if (last !== undefined) {
      await this.#cutRoom(last)
      await last.file.sync()
    }
    const file = await this.#storage.create(segmentPath(base))
    await this.#storage.syncFolder(logFolder)
    this.#segments.push({ base, file, end: base, fileEnd: base })
  }

  /** Writes at the end of the active segment. */
  async write(position: LogPosition, parts: readonly Uint8Array[]): Promise<void> {
    const { active } = this
    assert(
      position >= active.base && position <= active.end,
      'the active segment is written without a gap',
    )
    await writeAll(active.file, parts, position - active.base)
    const bytes = parts.reduce((sum, part) => sum + part.length, 0)
    active.end = logPosition(Math.max(active.end, position + bytes))
    if (active.end <= active.fileEnd) return
    active.fileEnd = active.end
    if (bytes < this.#roomBytes / largeShare) await this.#makeRoom(active)
  }

  sync(): Promise<void> {
    return this.active.file.sync()
  }

  /**
   * Cuts the log at `end`, on disk: later files go first and durably, so that a crash in between never leaves a file
   * behind one that is too short for it; then the file that holds `end` is truncated and synced.
   */
  async cut(end: LogPosition): Promise<void> {
    while (this.#segments.length > 1 && this.active.base >= end) await this.#remove(this.active)
    await this.#storage.syncFolder(logFolder)
    const { active } = this
    if (active.fileEnd <= end) return
    await active.file.truncate(end - active.base)
    await active.file.sync()
    active.end = end
    active.fileEnd = end
  }

  /** Removes the oldest file. */
  async dropOldest(): Promise<void> {
    const oldest = present(this.#segments[0], 'there is a segment to drop')
    assert(this.#segments.length > 1, 'the active segment is never dropped')
    await this.#remove(oldest)
    await this.#storage.syncFolder(logFolder)
  }

  async close(): Promise<void> {
    const last = this.#segments.at(-1)
    try {
      if (last !== undefined) await this.#cutRoom(last)
    } finally {
      for (const { file } of this.#segments) await file.close()
    }
  }

  /** A disk with little room keeps it for records. */
  async #makeRoom(segment: Segment): Promise<void> {
    const at = segment.end - segment.base
    try {
      const bytes = await segment.file.write([new Uint8Array(this.#roomBytes)], at)
      segment.fileEnd = logPosition(segment.end + bytes)
    } catch (error) {
      if (!(error instanceof StorageError) || error.kind !== 'full') throw error
    }
  }

  async #cutRoom(segment: Segment): Promise<void> {
    if (segment.fileEnd === segment.end) return
    await segment.file.truncate(segment.end - segment.base)
    segment.fileEnd = segment.end
  }

  async #remove(segment: Segment): Promise<void> {
    this.#segments.splice(this.#segments.indexOf(segment), 1)
    await segment.file.close()
    await this.#storage.remove(segmentPath(segment.base))
  }
}
