import { assert, present, type Storage } from '@popmq/kit'
import { type Checksum, type LogPosition, logPosition } from '@popmq/protocol'
import {
  IndexFile,
  indexFolder,
  indexPath,
  locationOf,
  type PageOwner,
  segmentOf,
} from './index-file.ts'
import { readRows } from './index-table.ts'
import type { Page } from './page.ts'

/** An index file as a snapshot names it. */
export interface IndexFileState {
  readonly base: LogPosition
  readonly slots: number
  /** The rows of its table; undefined when they stand in the file. */
  readonly rows: Uint8Array | undefined
}

/** What dropping a file needs to know of its pages. */
export interface PageMover extends PageOwner {
  /** Whether the partition's page is the one at this location. */
  isAt(page: Pick<Page, 'key' | 'number'>, location: number): boolean
  load(location: number, wanted: Pick<Page, 'key' | 'number'>): Promise<Page>
  /** Gives the page to the active file, unless it has changed its place since. */
  rewrite(page: Page, location: number): void
}

interface DroppedFile {
  readonly base: LogPosition
  readonly file: IndexFile | undefined
  /** No snapshot above this position names the file. */
  readonly namedUpTo: number
}

/** Pages that a drop holds in memory before it writes them: 4 MiB. */
const pagesAtOnce = 1_024

/**
 * The index files of a log, oldest first; the last is the active one and takes the pages that fill. A file that is
 * dropped stays on disk while a snapshot may name it, since a broker may start from an older snapshot.
 */
export class IndexFiles {
  readonly #storage: Storage
  readonly #crc32: Checksum
  readonly #files = new Map<number, IndexFile>()
  #dropped: DroppedFile[] = []
  #namedAt = 0
  #active: IndexFile | undefined
  #lastTurn: Promise<unknown> = Promise.resolve()

  constructor(storage: Storage, crc32: Checksum) {
    this.#storage = storage
    this.#crc32 = crc32
  }

  /** Pages that fill or change go to the file of this segment from now on. */
  roll(base: LogPosition, segment: number): IndexFile {
    const file = new IndexFile({ base, segment, storage: this.#storage, crc32: this.#crc32 })
    this.#files.set(segment, file)
    this.#active = file
    return file
  }

  add(page: Page): void {
    present(this.#active, 'there is a segment before there is a page').add(page)
  }

  get unwritten(): number {
    let pages = 0
    for (const file of this.#files.values()) pages += file.unwritten
    return pages
  }

  read(location: number, wanted: Pick<Page, 'key' | 'number'>): Promise<Page> {
    const segment = segmentOf(location)
    const file = present(this.#files.get(segment), 'a page lies in a file that is there')
    return file.read(location - locationOf(segment, 0), wanted)
  }

  /** What a snapshot at `viewed` says of the files. */
  states(viewed: LogPosition): IndexFileState[] {
    this.#namedAt = Math.max(this.#namedAt, viewed)
    return [...this.#files.values()]
      .filter(({ slots }) => slots > 0)
      .map(({ base, slots, openRows }) => ({ base, slots, rows: openRows }))
  }

  /**
   * Opens the files of a snapshot at `viewed`, whose segments have been rolled to in order. Removes files that were
   * made later; keeps those that were dropped before: an older snapshot may name them.
   */
  async restore(states: readonly IndexFileState[], viewed: LogPosition): Promise<void> {
    this.#namedAt = viewed
    const known = new Map([...this.#files.values()].map((file) => [indexName(file.base), file]))
    const named = new Set(states.map(({ base }) => indexName(base)))
    for (const { name } of await this.#storage.list(indexFolder)) {
      if (!/^\d{20}\.index$/.test(name) || named.has(name)) continue
      const base = logPosition(Number.parseInt(name, 10))
      const wasDropped = !known.has(name) && base < (this.#active?.base ?? 0)
      if (wasDropped) this.#dropped.push({ base, file: undefined, namedUpTo: viewed })
      else await this.#storage.remove(indexPath(base))
    }
    for (const { base, slots, rows } of states) {
      const file = present(
        known.get(indexName(base)),
        'a snapshot names index files of its segments',
      )
      await file.restore(slots, rows)
    }
  }

  /** All tables, oldest file first. */
  async *tables(): AsyncIterable<{ readonly segment: number; readonly rows: Uint8Array }> {
    for (const file of this.#files.values()) {
      if (file.slots > 0) yield { segment: file.segment, rows: await file.readTable() }
    }
  }

  /** Writes and syncs all pages that were there when it began, and seals the files behind the active one. */
  flush(owner: PageOwner): Promise<void> {
    return this.#inTurn(() => this.#flushAll(owner))
  }

  /** Gives the pages of a file behind the active one that are still in use to the active one. */
  moveOut(segment: number, mover: PageMover): Promise<void> {
    return this.#inTurn(async () => {
      const file = present(this.#files.get(segment), 'the index file to drop is there')
      assert(file !== this.#active, 'the active index file is not dropped')
      for (const page of file.takePending()) this.add(page)
      if (file.slots > 0) await this.#moveOut(file, mover)
    })
  }

  /** No page of the file is in use any more: snapshots from now on do not name it. */
  drop(segment: number): void {
    const file = present(this.#files.get(segment), 'the index file to drop is there')
    this.#files.delete(segment)
    this.#dropped.push({ base: file.base, file, namedUpTo: this.#namedAt })
  }

  /** Removes the dropped files that no snapshot at or above `neededFrom` names. */
  removeDropped(neededFrom: LogPosition): Promise<void> {
    return this.#inTurn(async () => {
      const removable = this.#dropped.filter(({ namedUpTo }) => namedUpTo < neededFrom)
      if (removable.length === 0) return
      for (const { base, file } of removable) {
        await file?.close()
        await this.#storage.remove(indexPath(base))
      }
      await this.#storage.syncFolder(indexFolder)
      this.#dropped = this.#dropped.filter((dropped) => !removable.includes(dropped))
    })
  }

  close(): Promise<void> {
    return this.#inTurn(async () => {
      for (const file of this.#files.values()) await file.close()
      for (const { file } of this.#dropped) await file?.close()
    })
  }

  async #flushAll(owner: PageOwner): Promise<void> {
    for (const file of this.#files.values()) await file.flush(owner, file !== this.#active)
  }

  async #moveOut(file: IndexFile, mover: PageMover): Promise<void> {
    const wanted = new Map<number, Pick<Page, 'key' | 'number'>>()
    const move = async (): Promise<void> => {
      const moves = [...wanted].map(async ([at, page]) =>
        mover.rewrite(await mover.load(at, page), at),
      )
      await Promise.all(moves)
      wanted.clear()
      await this.#flushAll(mover)
    }
    for (const { slot, key, number } of readRows(await file.readTable())) {
      const location = locationOf(file.segment, slot)
      if (mover.isAt({ key, number }, location)) wanted.set(location, { key, number })
      if (wanted.size === pagesAtOnce) await move()
    }
    if (wanted.size > 0) await move()
  }

  /** One after the other, whatever became of the one before: whoever asked for that one has its error. */
  #inTurn<T>(task: () => Promise<T>): Promise<T> {
    const turn = this.#lastTurn.then(task, task)
    this.#lastTurn = turn
    return turn
  }
}

function indexName(base: LogPosition): string {
  return indexPath(base).slice(indexFolder.length + 1)
}
