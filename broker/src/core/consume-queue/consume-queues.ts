import type { Storage } from '@popmq/kit'
import { type Checksum, keysOfTopic, type LogPosition, logPosition, marks } from '@popmq/protocol'
import { type Offset, offset, partitionKey, type PartitionKey } from '@popmq/protocol'
import { recordKinds, type RecordView, type TimeMs, type TopicId } from '@popmq/protocol'
import { ConsumeQueue, outOfRange, type PageSource } from './consume-queue.ts'
import { EntryRange } from './entry-range.ts'
import { decodeHorizon } from './horizon.ts'
import { locationOf } from './index-file.ts'
import { IndexFiles } from './index-files.ts'
import { readRows } from './index-table.ts'
import { LiveBytes } from './live-bytes.ts'
import { PageCache } from './page-cache.ts'
import { PagePins } from './page-pins.ts'
import { PageReader, type Question } from './page-reader.ts'
import { pageBytes } from './page.ts'
import type { Shared } from './queue-pages.ts'
import { QueueSet } from './queue-set.ts'
import { decodeSnapshot, encodeSnapshot, type Snapshot } from './snapshot.ts'

export interface ConsumeQueuesOptions {
  readonly storage: Storage
  readonly crc32: Checksum
  /** Memory for pages that are on disk too; in whole pages of 4 KiB, one at least. @defaultValue 16 MiB */
  readonly cacheBytes?: number
}

export interface Bounds {
  /** The first readable offset. */
  readonly low: Offset
  /** The next offset to become visible. */
  readonly high: Offset
}

export interface SliceOptions {
  /** 1..16,384; more is taken as that. @defaultValue 1,024 */
  readonly maxEntries?: number
}

/** Most entries in one slice: about half a MiB of pages. */
const mostEntries = 16_384
const noBounds: Bounds = Object.freeze({ low: offset(0), high: offset(0) })

/**
 * The consume queues of all partitions of a log: a view. It changes only by `apply`, with the records below the commit
 * position in their order; what it knows is a snapshot together with the log after it.
 *
 *     start(snapshot) → roll(base) … → { prepare(records); apply(record) … } … → flush → encode → removeDropped → … → close
 *
 * In memory: the page being filled of each partition (1 to 4 KiB), full pages until a flush has written them
 * (`dirtyBytes`: the caller flushes in time), 32 bytes of directory for each full page, and a bounded cache.
 */
export class ConsumeQueues {
  readonly #live = new LiveBytes()
  readonly #files: IndexFiles
  readonly #reader: PageReader
  readonly #queues: QueueSet
  readonly #pins: PagePins
  readonly #shared: Shared
  /** The queue of the last record: runs of one partition are the rule. */
  #last: ConsumeQueue | undefined

  constructor({ storage, crc32, cacheBytes = 16 * 2 ** 20 }: ConsumeQueuesOptions) {
    const cache = new PageCache(cacheBytes)
    this.#files = new IndexFiles(storage, crc32)
    this.#reader = new PageReader(cache, this.#files)
    this.#queues = new QueueSet(this.#reader)
    this.#pins = new PagePins((key) => this.#queues.get(key), this.#reader)
    this.#shared = { live: this.#live, cache, files: this.#files }
  }

  /**
   * Begins with what `encode` gave, or empty without it, as before the first record of the log. Comes first. Index
   * files, and parts of them, that are newer than the snapshot are removed: the log after it makes them again.
   * @throws MqError `damaged_log` naming what is damaged, `newer_format`
   */
  async start(snapshot?: Uint8Array): Promise<void> {
    if (snapshot === undefined) return this.#files.restore([], logPosition(0))
    return this.#restore(decodeSnapshot(snapshot))
  }

  /**
   * The log has a segment from `base` on: to be told before a record of it is applied, of the first one too. One that
   * is not newer than all known says nothing, so that a start may name all segments, oldest first.
   */
  roll(base: LogPosition): void {
    const segment = this.#live.open(base)
    if (segment !== undefined) this.#files.roll(base, segment)
  }

  /**
   * Loads the pages that applying these records needs: those of moved records, and those in which new horizons fall.
   * They stay in memory until other such records are prepared, one page for each at most; so these are applied before.
   * @returns undefined when there is nothing to wait for
   * @throws MqError `damaged_log` naming the index file, `corrupt_record` for a malformed horizon
   */
  prepare(records: Iterable<RecordView>): Promise<void> | undefined {
    return this.#pins.pin(records)
  }

  /** Takes in the next record below the commit position. @returns the partition in which a message became visible */
  apply(record: RecordView): PartitionKey | undefined {
    switch (record.kind) {
      case recordKinds.message:
        return this.#applyMessage(record)
      case recordKinds.horizon:
        for (const { key, low } of decodeHorizon(record.body)) this.#queues.get(key)?.raiseLow(low)
        return undefined
      case recordKinds.topic_gone:
        this.#forgetTopic(record.topicId)
        return undefined
      default:
        return undefined
    }
  }

  /** Both 0 for a partition that has had no message. */
  bounds(key: PartitionKey): Bounds {
    const queue = this.#queues.get(key)
    return queue === undefined ? noBounds : { low: queue.low, high: queue.high }
  }

  /** The partitions that have had a message. */
  keys(): Iterable<PartitionKey> {
    return this.#queues.keys()
  }

  /**
   * The entries from an offset on that are in memory, one at least unless `from` is the next offset to come.
   * @returns undefined when the first of them must be loaded: see `slice`
   * @throws MqError `offset_out_of_range` naming the bounds
   */
  sliceNow(
    key: PartitionKey,
    from: Offset,
    { maxEntries }: SliceOptions = {},
  ): EntryRange | undefined {
    const queue = this.#queues.get(key)
    if (queue === undefined) return emptyRange(from)
    const asked = { from, maxEntries: Math.min(maxEntries ?? 1_024, mostEntries), partly: true }
    return queue.range(asked, (number) => queue.pages.inMemory(number))
  }

  /**
   * The entries from an offset on: `maxEntries`, or as many as there are.
   * @throws MqError `offset_out_of_range` naming the bounds, `damaged_log` naming the index file
   */
  slice(key: PartitionKey, from: Offset, { maxEntries }: SliceOptions = {}): Promise<EntryRange> {
    const asked = { from, maxEntries: Math.min(maxEntries ?? 1_024, mostEntries), partly: false }
    const ifNone = (): EntryRange => emptyRange(from)
    return this.#ask(key, { ask: (queue, source) => queue.range(asked, source), ifNone })
  }

  /**
   * The first readable offset appended at or after `timeMs`; the next offset to come when there is none. Append times
   * must not fall within a log: the leader takes the later of its clock and the last time.
   */
  offsetAt(key: PartitionKey, timeMs: TimeMs): Promise<Offset> {
    const ifNone = (): Offset => noBounds.high
    return this.#ask(key, { ask: (queue, source) => queue.offsetAt(timeMs, source), ifNone })
  }

  /** The lowest readable offset from which on the partition's records take at most `maxBytes`. */
  offsetKeeping(key: PartitionKey, maxBytes: number): Promise<Offset> {
    const ifNone = (): Offset => noBounds.high
    return this.#ask(key, { ask: (queue, source) => queue.offsetKeeping(maxBytes, source), ifNone })
  }

  /** Bytes of the partition's readable records. */
  keptBytes(key: PartitionKey): number {
    return this.#queues.get(key)?.keptBytes ?? 0
  }

  /** Bytes in the log segment of `base` that readable entries point at; 0 once it was dropped. */
  liveBytes(base: LogPosition): number {
    return this.#live.of(base)
  }

  /** Whether the entry of this message points at this very record: what cleaning has to move. */
  isLive(record: RecordView): boolean | Promise<boolean> {
    const { offset: at, position } = record
    const key = partitionKey(record.topicId, record.partition)
    const ask = (queue: ConsumeQueue, source: PageSource): boolean | undefined =>
      queue.pointsAt({ offset: at, position }, source)
    const queue = this.#queues.get(key)
    if (queue === undefined) return false
    const now = ask(queue, (number) => queue.pages.inMemory(number))
    return now ?? this.#ask(key, { ask, ifNone: () => false })
  }

  /** Bytes of pages that the next flush has to write, those being written included. */
  get dirtyBytes(): number {
    return this.#files.unwritten * pageBytes
  }
  /** Bytes of pages in the cache. */
  get cachedBytes(): number {
    return this.#shared.cache.bytes
  }
  /** Pages read from disk so far. */
  get pagesRead(): number {
    return this.#shared.cache.reads
  }

  /** Writes and syncs the pages that are dirty when it begins; records may be applied meanwhile. */
  flush(): Promise<void> {
    return this.#files.flush(this.#queues)
  }

  /**
   * The snapshot after everything below `viewed` was applied and nothing else. Pages that are still dirty travel in
   * it: a flush right before keeps it small, but it needs none.
   */
  encode(viewed: LogPosition): Uint8Array {
    const queues = this.#queues.all()
    return encodeSnapshot({
      viewed,
      segments: this.#live.all(),
      files: this.#files.states(viewed),
      partitions: queues.map((queue) => queue.state()),
      pages: queues.flatMap((queue) => [...queue.pages.unwritten()]),
    })
  }

  /**
   * The log segment of `base` is to go, and those before it are gone; nothing in them is live. Their index files are no
   * longer used: the pages in them that still are get written to the active file first.
   */
  async dropIndexFile(base: LogPosition): Promise<void> {
    for (const { base: oldest } of this.#live.all()) {
      if (oldest > base) return
      this.#live.assertDead(oldest)
      const segment = this.#live.numberAt(oldest)
      await this.#files.moveOut(segment, this.#queues)
      // Both at once: a snapshot names a segment with its file, or neither.
      this.#files.drop(segment)
      this.#live.dropOldest()
    }
  }

  /**
   * Removes the index files that no snapshot names whose `viewed` is at or above `neededFrom`. To be called when a
   * checkpoint is durable, with the position below which no kept checkpoint lies.
   */
  removeDropped(neededFrom: LogPosition): Promise<void> {
    return this.#files.removeDropped(neededFrom)
  }

  /** Closes the files; what is not flushed is made again from the log. */
  close(): Promise<void> {
    return this.#files.close()
  }

  async #restore({ viewed, segments, files, partitions, pages }: Snapshot): Promise<void> {
    for (const { base, bytes } of segments) {
      this.roll(base)
      this.#live.add(this.#live.newest, bytes)
    }
    for (const state of partitions) this.#queues.add(ConsumeQueue.restore(state, this.#shared))
    await this.#files.restore(files, viewed)
    for await (const { segment, rows } of this.#files.tables()) {
      for (const row of readRows(rows)) {
        this.#queues.get(row.key)?.pages.restoreRow(row, locationOf(segment, row.slot))
      }
    }
    for (const page of pages) this.#queues.get(page.key)?.restorePage(page)
    for (const state of partitions) this.#queues.get(state.key)?.finishRestore(state)
  }

  #applyMessage(record: RecordView): PartitionKey | undefined {
    const key = partitionKey(record.topicId, record.partition)
    let queue = this.#last?.key === key ? this.#last : this.#queues.get(key)
    if ((record.marks & marks.moved) !== 0) {
      queue?.repoint(record.offset, record.position)
      return undefined
    }
    if (queue === undefined) {
      queue = new ConsumeQueue(key, record.offset, this.#shared)
      this.#queues.add(queue)
    }
    this.#last = queue
    queue.append(record)
    return key
  }

  #ask<T>(key: PartitionKey, question: Question<T>): Promise<T> {
    return this.#reader.answer(() => this.#queues.get(key), question)
  }

  #forgetTopic(topic: TopicId): void {
    this.#last = undefined
    for (const key of keysOfTopic(topic)) {
      this.#queues.get(key)?.dropAll()
      this.#queues.delete(key)
    }
  }
}

function emptyRange(from: Offset): EntryRange {
  if (from > noBounds.high) throw outOfRange(from, noBounds)
  return new EntryRange(from, 0, [])
}
