/** The consume queues against plain arrays: any history of records, flushes, checkpoints, drops and crashes. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crc32 } from '@popmq/kit/checksum'
import { between, StorageError } from '@popmq/kit'
import { type CrashMode, crashModes, MemoryStorage, SeededRandom } from '@popmq/kit/testing'
import {
  type LogPosition,
  logPosition,
  offset,
  partitionKey,
  type PartitionKey,
} from '@popmq/protocol'
import { partitionNumber, recordKinds, RecordView, topicId, topicOfKey } from '@popmq/protocol'
import fc from 'fast-check'
import { ConsumeQueues } from './consume-queues.ts'
import type { EntryRange } from './entry-range.ts'
import { EntryView } from './entry.ts'
import { QueueModel } from './queue-model.ts'
import { SampleLog, type SampleRecord } from './sample-log.ts'
import { applyRecord } from './sample-queues.ts'

interface Checkpoint {
  readonly snapshot: Uint8Array
  readonly viewed: LogPosition
}

const keys = [1, 2].flatMap((topic) =>
  [0, 7].map((number) => partitionKey(topicId(topic), partitionNumber(number))),
)
const keyOf = (choice: number): PartitionKey => keys[choice % keys.length] ?? (0 as PartitionKey)

/** A broker's life around the queues: the log, what the queues must say, and the checkpoints on disk. */
class World {
  readonly log = new SampleLog(crc32)
  readonly model = new QueueModel()
  readonly #gone = new Set<number>()
  #storage = new MemoryStorage()
  #queues = this.#open()
  #checkpoints: Checkpoint[] = []
  #behind: Promise<unknown> = Promise.resolve()
  #dropped = -1

  async start(): Promise<void> {
    await this.#queues.start()
    this.#queues.roll(logPosition(0))
  }

  async messages(key: PartitionKey, count: number): Promise<void> {
    if (this.#gone.has(topicOfKey(key))) return
    for (let left = count; left > 0; left -= 1) {
      const record = this.log.message(key, {
        bodyBytes: left % 5,
        ...(left % 3 === 0 ? { tag: `t${left}` } : {}),
      })
      if (left % 4 === 0) this.log.passTime(left % 7)
      this.model.add(record)
      await this.#apply(record)
    }
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
      ({ key, position }) => key !== 0 && position >= base && position < end,
    )
    for (const [index, record] of records.entries()) {
      const isLive = this.model.isLive(record)
      assert.equal(await this.#queues.isLive(new RecordView(record.bytes)), isLive)
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
    this.#checkpoints.push({ snapshot: this.#queues.encode(this.log.end), viewed: this.log.end })
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
    this.#queues = this.#open()
    const checkpoint = this.#checkpoints.at(-1)
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
    return new ConsumeQueues({ storage: this.#storage, crc32, cacheBytes: 4_096 })
  }

  async #apply(applied: SampleRecord): Promise<void> {
    const { kind, marks } = new RecordView(applied.bytes)
    const visible = kind === recordKinds.message && marks === 0 ? applied.key : undefined
    assert.equal(await applyRecord(this.#queues, applied), visible)
  }
}

const entry = new EntryView()
const view = new RecordView()

function assertEntries(range: EntryRange, records: readonly SampleRecord[]): void {
  assert.equal(range.count, records.length)
  for (const [index, { bytes, position }] of records.entries()) {
    const { position: at, size, tagHash, appendedAt } = range.entry(index, entry)
    view.move(bytes, 0)
    const expected = [position, bytes.length, view.tagHash, view.appendedAt]
    assert.deepEqual([at, size, tagHash, appendedAt], expected)
  }
}

const weights = {
  messages: 8,
  roll: 2,
  horizon: 3,
  clean: 3,
  retire: 3,
  drop: 2,
  gone: 1,
  flush: 2,
  flushBehind: 2,
  flushOnFullDisk: 1,
  checkpoint: 4,
  crash: 3,
  check: 3,
}
type Op = keyof typeof weights

const ops = Object.entries(weights).flatMap(([op, weight]) =>
  Array.from({ length: weight }, () => op as Op),
)
const step = fc.record({ op: fc.constantFrom(...ops), choice: fc.nat(999), isOdd: fc.boolean() })

function pick<T>(values: readonly [T, ...T[]], choice: number): T {
  return values[choice % values.length] ?? values[0]
}

const actions: Record<Op, (world: World, choice: number, isOdd: boolean) => Promise<void> | void> =
  {
    messages: (world, choice) =>
      world.messages(keyOf(choice), pick([1, 5, 60, 126, 127, 128, 260], choice)),
    roll: (world) => world.roll(),
    horizon: (world, choice) => world.horizon(choice, pick([0.3, -0.5, 0.01, 0.7, 1], choice)),
    clean: (world, choice) => world.clean(choice, pick([1, 1, 3, 40], choice)),
    retire: (world, _, isOdd) => world.retire(isOdd),
    drop: (world) => world.drop(),
    gone: (world) => world.gone(2),
    flush: (world) => world.flush(),
    flushBehind: (world) => world.flushBehind(),
    flushOnFullDisk: (world, choice) => world.flushOnFullDisk(pick([0, 5_000], choice)),
    checkpoint: (world) => world.checkpoint(),
    crash: (world, choice, isOdd) => world.crash(pick(crashModes, choice), isOdd),
    check: (world, choice) => world.check(choice),
  }

void test('any history leaves the consume queues as plain arrays would be, crashes included', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 1, maxLength: 60, size: 'max' }),
      async (steps) => {
        const world = new World()
        await world.start()
        for (const { op, choice, isOdd } of steps) await actions[op](world, choice, isOdd)
        await world.check(1)
        await world.crash('lose', false)
        await world.check(2)
        await world.horizon(0, 0.5)
        await world.check(3)
      },
    ),
    { numRuns: 100 },
  )
})
