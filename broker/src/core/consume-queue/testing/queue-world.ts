import assert from 'node:assert/strict'
import { between, StorageError } from '@popmq/kit'
import { crc32 } from '@popmq/kit/checksum'
import { type CrashMode, MemoryStorage, SeededRandom } from '@popmq/kit/testing'
import { carriesMessage, isHeld, isQueued, type LogPosition, logPosition } from '@popmq/protocol'
import { offset, partitionKey, type PartitionKey, partitionNumber } from '@popmq/protocol'
import { RecordView, topicId, topicOfKey } from '@popmq/protocol'
import { ConsumeQueues } from '../consume-queues.ts'
import type { EntryRange } from '../entry-range.ts'
import { type Entry, EntryView } from '../entry.ts'
import type { Keepers } from '../kept-entries.ts'
import { QueueModel } from '../queue-model.ts'
import { type HandsState, SampleHands } from '../sample-hands.ts'
import { SampleLog, type SampleRecord } from '../sample-log.ts'
import { applyRecord } from '../sample-queues.ts'

interface Checkpoint {
  readonly snapshot: Uint8Array
  readonly hands: HandsState
  readonly viewed: LogPosition
}

/** Two topics, and one of dead letters. */
const keys = [1, 2, 3].flatMap((topic) =>
  [0, 7].map((number) => partitionKey(topicId(topic), partitionNumber(number))),
)
const deadTopic = topicId(3)

/** For tests: a broker's life around the queues: the log, what the queues must say, and the checkpoints on disk. */
export class QueueWorld {
  readonly log = new SampleLog(crc32)
  readonly model = new QueueModel()
  readonly #gone = new Set<number>()
  #storage = new MemoryStorage()
  #hands = new SampleHands()
  #queues = this.#open()
  #checkpoints: Checkpoint[] = []
  #behind: Promise<unknown> = Promise.resolve()
  #dropped = -1

  async start(): Promise<void> {
    await this.#queues.start()
    this.#queues.roll(logPosition(0))
  }

  async messages(choice: number, count: number): Promise<void> {
    const key = keyOf(choice)
    if (this.#gone.has(topicOfKey(key))) return
    const kind = topicOfKey(key) === deadTopic ? 'dead' : 'message'
    for (let left = count; left > 0; left -= 1) {
      const record = this.log.message(key, {
        kind,
        bodyBytes: left % 5,
        ...(left % 3 === 0 ? { tag: `t${left}` } : {}),
      })
      if (left % 4 === 0) this.log.passTime(left % 7)
      this.model.add(record)
      await this.#apply(record)
    }
  }

  /** Records that wait, which are no entries. */
  async hold(choice: number): Promise<void> {
    const record = this.log.held(keyOf(choice), choice % 2 === 0 ? 'retry' : 'delayed')
    this.model.held.set(new RecordView(record.bytes).offset, record)
    await this.#apply(record)
  }

  /** Somebody takes every `step`th readable message of some partitions in hand. */
  async take(choice: number, step: number): Promise<void> {
    const places = this.model.all().flatMap(([key, { low, records }]) => {
      const offsets = records.map((_, at) => offset(at)).slice(low)
      return offsets.filter((_, index) => index % step === 0).map((at) => ({ key, low: at }))
    })
    const some = places.slice(choice % 2).slice(0, 1_000)
    await this.#apply(this.log.leased(some))
    this.model.take(some)
  }

  /** Every `step`th message that is in hand, or held, is done with, and one that never was. */
  async settle(step: number): Promise<void> {
    const taken = this.model
      .all()
      .flatMap(([key, queue]) => [...queue.taken].map((at) => ({ key, low: offset(at) })))
    const held = [...this.model.held].map(([number, { key }]) => ({ key, low: offset(number) }))
    const places = [...taken, ...held].filter((_, index) => index % step === 0).slice(0, 1_000)
    places.push({ key: keyOf(step), low: offset(1) })
    await this.#apply(this.log.settled(places))
    this.model.settle(places)
  }

  /** Raises the lows of some partitions by a share of what they hold; below 0 it lowers them, which says nothing. */
  async horizon(choice: number, share: number): Promise<void> {
    const horizons = this.model.all().map(([key, { low, records }]) => {
      const raised = low + Math.ceil((records.length - low) * share)
      return { key, low: offset(Math.max(0, raised)) }
    })
    const some = horizons.slice(choice % 2)
    await this.#apply(this.log.horizon(some))
    this.model.raise(some)
  }

  /** Moves every `step`th live record of a segment, then those of no partition any more: they say nothing. */
  async clean(choice: number, step: number): Promise<void> {
    const base = this.#bases[choice % this.#bases.length] ?? 0
    const end = this.#bases.find((next) => next > base) ?? this.log.end
    const records = this.log.records.filter(
      ({ position, bytes }) =>
        position >= base && position < end && carriesMessage(new RecordView(bytes).kind),
    )
    for (const [index, record] of records.entries()) {
      const isLive = this.model.isLive(record)
      assert.equal(await this.#isLive(new RecordView(record.bytes)), isLive)
      if (index % step !== 0 || (!isLive && index % 50 !== 0)) continue
      const moved = this.log.moved(record)
      await this.#apply(moved)
      this.model.moved(moved)
    }
  }

  async gone(topic: number): Promise<void> {
    this.#gone.add(topic)
    this.model.forget(topicId(topic))
    await this.#apply(this.log.gone(topicId(topic)))
  }

  roll(): void {
    this.#queues.roll(this.log.roll())
  }

  flush(): Promise<void> {
    return this.#queues.flush()
  }

  /** A flush that goes on while other things happen. */
  flushBehind(): void {
    this.#behind = this.#queues.flush().catch((error: unknown) => error)
  }

  async flushOnFullDisk(roomBytes: number): Promise<void> {
    await this.#behind
    const { freeBytes, totalBytes } = await this.#storage.space()
    this.#storage.setCapacity(totalBytes - freeBytes + roomBytes)
    const failed = await this.#queues.flush().then(
      () => undefined,
      (error: unknown) => error,
    )
    assert.ok(failed === undefined || (failed instanceof StorageError && failed.kind === 'full'))
    this.#storage.setCapacity(totalBytes)
  }

  async checkpoint(): Promise<void> {
    const { state } = this.#hands
    const snapshot = this.#queues.encode(this.log.end)
    this.#checkpoints.push({ snapshot, hands: state, viewed: this.log.end })
    this.#checkpoints = this.#checkpoints.slice(-2)
    const [oldest] = this.#checkpoints
    if (oldest !== undefined && this.#checkpoints.length === 2)
      await this.#queues.removeDropped(oldest.viewed)
  }

  /** Drops the oldest segment when nothing in it is live and no checkpoint needs the log there, as a cleaner does. */
  async drop(): Promise<void> {
    const [base, end] = this.#bases
    const [oldest, newest] = this.#checkpoints
    if (base === undefined || end === undefined || this.#liveBytes(base) > 0) return
    if (oldest === undefined || newest === undefined || oldest.viewed < end) return
    await this.#queues.dropIndexFile(base)
    this.#dropped = base
  }

  /** All that a cleaner does with the oldest segment. */
  async retire(flushes: boolean): Promise<void> {
    this.roll()
    for (let times = 0; times < 2; times += 1) {
      if (flushes) await this.flush()
      await this.checkpoint()
    }
    await this.clean(0, 1)
    await this.drop()
  }

  /** Starts again from a checkpoint, the older one when the newer is bad. */
  async crash(mode: CrashMode, isNewestBad: boolean): Promise<void> {
    this.#behind = Promise.resolve()
    this.#storage = this.#storage.crash({ mode, random: new SeededRandom(this.log.end) })
    if (isNewestBad && this.#checkpoints.length === 2) this.#checkpoints.pop()
    const checkpoint = this.#checkpoints.at(-1)
    this.#hands = new SampleHands(checkpoint?.hands)
    this.#queues = this.#open()
    await this.#queues.start(checkpoint?.snapshot)
    let bases = this.#bases
    for (const record of this.log.records.filter(
      ({ position }) => position >= (checkpoint?.viewed ?? 0),
    )) {
      // Some know a segment before its records come, some only then.
      const known = mode === 'lose' ? this.log.end : record.position
      for (const base of bases.filter((next) => next <= known)) this.#queues.roll(base)
      bases = bases.filter((next) => next > known)
      await this.#apply(record)
    }
    for (const base of bases) this.#queues.roll(base)
  }

  async check(seed: number): Promise<void> {
    const random = new SeededRandom(seed)
    for (const key of keys) {
      const { low, records } = this.model.get(key)
      assert.deepEqual(this.#queues.bounds(key), { low, high: records.length })
      assert.equal(this.#queues.keptBytes(key), this.model.keptBytes(key))
      this.#checkKept(key)
      for (let times = 0; times < 3; times += 1) {
        await this.#checkSlice(key, random)
        await this.#checkSearch(key, random)
      }
    }
    for (const base of this.#bases)
      assert.equal(this.#queues.liveBytes(base), this.#liveBytes(base))
  }

  async #checkSlice(key: PartitionKey, random: SeededRandom): Promise<void> {
    const { low, records } = this.model.get(key)
    const from = offset(between(random, low, records.length))
    const maxEntries = between(random, 1, 300)
    const first = this.#queues.sliceNow(key, from, { maxEntries })
    if (first !== undefined) assertEntries(first, records.slice(from, first.end))
    if (first !== undefined && from < records.length) assert.ok(first.count > 0)
    const range = await this.#queues.slice(key, from, { maxEntries })
    assertEntries(range, records.slice(from, from + maxEntries))
    if (low === 0) return
    await assert.rejects(this.#queues.slice(key, offset(low - 1)), { name: 'offset_out_of_range' })
  }

  #checkKept(key: PartitionKey): void {
    const { low, records, kept } = this.model.get(key)
    for (const [at, record] of records.slice(0, low + 3).entries()) {
      const entry = this.#queues.kept(key, offset(at))
      if (kept.has(at)) assertEntry(entry, record)
      else assert.equal(entry, undefined)
    }
  }

  async #checkSearch(key: PartitionKey, random: SeededRandom): Promise<void> {
    const timeMs = between(random, 999, this.log.timeMs + 1)
    assert.equal(await this.#queues.offsetAt(key, timeMs), this.model.offsetAt(key, timeMs))
    const keep = between(random, 0, this.model.keptBytes(key) + 10)
    assert.equal(await this.#queues.offsetKeeping(key, keep), this.model.offsetKeeping(key, keep))
  }

  get #bases(): LogPosition[] {
    return this.log.bases.filter((base) => base > this.#dropped)
  }

  #liveBytes(base: LogPosition): number {
    const end = this.log.bases.find((next) => next > base) ?? Number.POSITIVE_INFINITY
    return this.model.liveBytes(base, end)
  }

  #open(): ConsumeQueues {
    const keepers: Keepers = {
      heldBelow: (key, low) => this.#hands.heldBelow(key, low),
    }
    return new ConsumeQueues({ storage: this.#storage, crc32, cacheBytes: 4_096, keepers })
  }

  /** As the cleaner asks. */
  #isLive(record: RecordView): boolean | Promise<boolean> {
    return isHeld(record.kind)
      ? this.#hands.pointsAt(record.offset, record.position)
      : this.#queues.isLive(record)
  }

  async #apply(applied: SampleRecord): Promise<void> {
    const record = new RecordView(applied.bytes)
    const { kind, marks } = record
    const visible = isQueued(kind) && marks === 0 ? applied.key : undefined
    if (isHeld(kind)) assert.equal(this.#queues.prepare([record]), undefined)
    assert.equal(await applyRecord(this.#queues, applied), visible)
    this.#hands.apply(record, this.#queues)
  }
}

const keyOf = (choice: number): PartitionKey => keys[choice % keys.length] ?? (0 as PartitionKey)
const entry = new EntryView()
const view = new RecordView()

function assertEntries(range: EntryRange, records: readonly SampleRecord[]): void {
  assert.equal(range.count, records.length)
  for (const [index, record] of records.entries()) assertEntry(range.entry(index, entry), record)
}

function assertEntry(found: Entry | undefined, { bytes, position }: SampleRecord): void {
  const { length: size, flags, kind, attempt, tagHash, keyHash, appendedAt } = view.move(bytes, 0)
  const expected = { position, size, flags, kind, attempt, tagHash, keyHash, appendedAt }
  assert.ok(found !== undefined)
  for (const [name, value] of Object.entries(expected))
    assert.equal(found[name as keyof Entry], value, name)
}
