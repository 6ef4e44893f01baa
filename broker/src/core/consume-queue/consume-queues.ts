import { assert, type Storage } from '@popmq/kit'
import { type Checksum, isQueued, keysOfTopic, type LogPosition } from '@popmq/protocol'
import { logPosition, marks, type Offset, partitionKey, type PartitionKey } from '@popmq/protocol'
import { recordKinds, type RecordView, type TimeMs, type TopicId } from '@popmq/protocol'
import { type Bounds, noBounds } from './bounds.ts'
import { ConsumeQueue, type PageSource } from './consume-queue.ts'
import { emptyRange, type EntryRange, mostEntries, type SliceOptions } from './entry-range.ts'
import type { Entry } from './entry.ts'
import { decodeHorizon } from './horizon.ts'
import { IndexFiles } from './index-files.ts'
import type { Keepers } from './kept-entries.ts'
import { LiveBytes } from './live-bytes.ts'
import { PageCache } from './page-cache.ts'
import { PagePins } from './page-pins.ts'
import { PageReader, type Question } from './page-reader.ts'
import { pageBytes } from './page.ts'
import type { Shared } from './queue-pages.ts'
import { QueueSet } from './queue-set.ts'
import { restoreQueues } from './restored-queues.ts'
import { decodeSnapshot, encodeSnapshot } from './snapshot.ts'

export interface ConsumeQueuesOptions {
  readonly storage: Storage
  readonly crc32: Checksum
  /** Memory for pages that are on disk too; in whole pages of 4 KiB, one at least. @defaultValue 16 MiB */
  readonly cacheBytes?: number
  /** Who has messages in hand that outlive a horizon. @defaultValue nobody */
  readonly keepers?: Keepers
}

const noKeepers: Keepers = Object.freeze({ heldBelow: () => [] })

/**
 * The consume queues of all partitions of a log: a view. It changes only by `apply`, with the records below the commit
 * position in their order; what it knows is a snapshot together with the log after it.
 *
 *     start(snapshot) → roll(base) … → { prepare(records); apply(record) … } … → flush → encode → removeDropped → … → close
 *
 * In memory: the page being filled of each partition (1 to 4 KiB), full pages until a flush has written them
 * (`dirtyBytes`: the caller flushes in time), 32 bytes of directory for each full page, a bounded cache, and about 200
 * bytes for each entry that is kept below the horizon since a group has its message in hand.
 */
export class ConsumeQueues {
  readonly #live = new LiveBytes()
  readonly #files: IndexFiles
  readonly #reader: PageReader
  readonly #queues: QueueSet
  readonly #pins: PagePins
  readonly #shared: Shared
  readonly #keepers: Keepers
  /** The queue of the last record: runs of one partition are the rule. */
  #last: ConsumeQueue | undefined

  constructor({ storage, crc32, ...options }: ConsumeQueuesOptions) {
    const { cacheBytes = 16 * 2 ** 20, keepers = noKeepers } = options
    const cache = new PageCache(cacheBytes)
    this.#keepers = keepers
    this.#files = new IndexFiles(storage, crc32)
    this.#reader = new PageReader(cache, this.#files)
    this.#queues = new QueueSet(this.#reader)
    const queueOf = (key: PartitionKey): ConsumeQueue | undefined => this.#queues.get(key)
    this.#pins = new PagePins({ queueOf, reader: this.#reader, keepers })
    this.#shared = { live: this.#live, cache, files: this.#files }
  }

  /**
   * Begins with what `encode` gave, or empty without it, as before the first record of the log. Comes first. Index
   * files, and parts of them, that are newer than the snapshot are removed: the log after it makes them again.
   * @throws MqError `damaged_log` naming what is damaged, `newer_format`
   */
  async start(snapshot?: Uint8Array): Promise<void> {
    if (snapshot === undefined) return this.#files.restore([], logPosition(0))
    const parts = { queues: this.#queues, files: this.#files, shared: this.#shared }
    return restoreQueues(decodeSnapshot(snapshot), { ...parts, roll: (base) => this.roll(base) })
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
   * Loads the pages that applying these records needs: those of moved records, those in which new horizons fall, and
   * those of entries that outlive these. Of the latter only the entries stay in memory, of the others the pages, one for
   * each at most, until other such records are prepared; so these are applied before.
   * @returns undefined when there is nothing to wait for
   * @throws MqError `damaged_log` naming the index file, `corrupt_record` for a malformed horizon
   */
  prepare(records: Iterable<RecordView>): Promise<void> | undefined {
    return this.#pins.pin(records)
  }

  /**
   * Takes in the next record below the commit position. Messages and dead letters become entries; what is held (retries,
   * delayed messages) does not. @returns the partition in which one became visible
   */
  apply(record: RecordView): PartitionKey | undefined {
    switch (record.kind) {
      case recordKinds.message:
      case recordKinds.dead:
        return this.#applyQueued(record)
      case recordKinds.horizon:
        for (const { key, low } of decodeHorizon(record.body))
          this.#queues.get(key)?.raiseLow(low, this.#keepers.heldBelow(key, low))
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

  /** The entry of a message that outlived the horizon of its partition, as long as somebody has it in hand. */
  kept(key: PartitionKey, at: Offset): Entry | undefined {
    return this.#queues.get(key)?.kept.get(at)
  }

  /** Nobody has this message in hand any more. One that is not kept, or not below low, says nothing. */
  letGo(key: PartitionKey, at: Offset): void {
    this.#queues.get(key)?.kept.letGo(at)
  }

  /** Bytes of the partition's readable records; kept ones below low are not among them. */
  keptBytes(key: PartitionKey): number {
    return this.#queues.get(key)?.keptBytes ?? 0
  }

  /**
   * Where other views of the log count the records that they hold: cleaning goes by it. The sums are part of the snapshot,
   * so what such a view restores is counted already.
   */
  get live(): Pick<LiveBytes, 'add' | 'numberAt'> {
    return this.#live
  }

  /** Bytes in the log segment of `base` that something points at; 0 once it was dropped. */
  liveBytes(base: LogPosition): number {
    return this.#live.of(base)
  }

  /** Whether the entry of this message points at this very record: what cleaning has to move. */
  isLive(record: RecordView): boolean | Promise<boolean> {
    assert(isQueued(record.kind), 'only a record that has an entry is asked for')
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

  #applyQueued(record: RecordView): PartitionKey | undefined {
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
