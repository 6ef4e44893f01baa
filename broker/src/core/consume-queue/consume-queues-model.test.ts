/** The consume queues against plain arrays: any history of records, flushes, checkpoints, drops and crashes. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crc32 } from 'node:zlib'
import { StorageError } from '@popmq/kit'
import { type CrashMode, crashModes, MemoryStorage, SeededRandom } from '@popmq/kit/testing'
import { type LogPosition, logPosition, type Offset, offset, partitionKey } from '@popmq/protocol'
import {
  type PartitionKey,
  partitionNumber,
  RecordView,
  topicId,
  topicOfKey,
} from '@popmq/protocol'
import fc from 'fast-check'
import { ConsumeQueues } from './consume-queues.ts'
import { EntryView } from './entry.ts'
import { SampleLog, type SampleRecord } from './sample-log.ts'

interface ModelQueue {
  low: number
  readonly entries: SampleRecord[]
}

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
  readonly model = new Map<PartitionKey, ModelQueue>()
  readonly #gone = new Set<number>()
  #storage = new MemoryStorage()
  #queues = this.#open()
  #checkpoints: Checkpoint[] = []
  #behind: Promise<unknown> = Promise.resolve()

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
      const queue = this.model.get(key) ?? { low: 0, entries: [] }
      this.model.set(key, queue)
      queue.entries.push(record)
      await this.#apply(record)
    }
  }

  /** Raises the lows of some partitions by a share of what they hold; below 0 it lowers them, which says nothing. */
  async horizon(choice: number, share: number): Promise<void> {
    const horizons = [...this.model].slice(choice % 2).map(([key, { low, entries }]) => {
      return { key, low: offset(Math.max(0, low + Math.ceil((entries.length - low) * share))) }
    })
    await this.#apply(this.log.horizon(horizons))
    for (const { key, low } of horizons) {
      const queue = this.model.get(key)
      if (queue !== undefined) queue.low = Math.max(queue.low, low)
    }
  }

  /** Moves every `step`th live record of a segment, then those of no partition any more: they say nothing. */
  async clean(choice: number, step: number): Promise<void> {
    const base = this.#bases[choice % this.#bases.length] ?? 0
    const end = this.#bases.find((next) => next > base) ?? this.log.end
    const records = this.log.records.filter(
      ({ key, position }) => key !== 0 && position >= base && position < end,
    )
    for (const [index, record] of records.entries()) {
      const at = new RecordView(record.bytes).offset
      const queue = this.model.get(record.key)
      const isLive = queue !== undefined && at >= queue.low && queue.entries[at] === record
      assert.equal(await this.#queues.isLive(new RecordView(record.bytes)), isLive)
      if (index % step !== 0 || (!isLive && index % 50 !== 0)) continue
      const moved = this.log.moved(record)
      if (queue !== undefined && at >= queue.low) queue.entries[at] = moved
      await this.#apply(moved)
    }
  }

  async gone(topic: number): Promise<void> {
    this.#gone.add(topic)
    for (const key of keys) if (topicOfKey(key) === topic) this.model.delete(key)
    await this.#apply(this.log.gone(topicId(topic)))
  }

  roll(): void {
    this.#queues.roll(this.log.roll())
  }

  async flush(): Promise<void> {
    await this.#queues.flush()
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
  #dropped = -1

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
      const { low, entries } = this.model.get(key) ?? { low: 0, entries: [] }
      assert.deepEqual(this.#queues.bounds(key), { low, high: entries.length })
      const kept = entries.slice(low)
      assert.equal(this.#queues.keptBytes(key), sumOf(kept))
      for (let times = 0; times < 3; times += 1) await this.#checkReads(key, random)
    }
    for (const base of this.#bases)
      assert.equal(this.#queues.liveBytes(base), this.#liveBytes(base), `live in ${base}`)
  }

  async #checkReads(key: PartitionKey, random: SeededRandom): Promise<void> {
    const { low, entries } = this.model.get(key) ?? { low: 0, entries: [] }
    const from = offset(low + Math.floor(random.next() * (entries.length - low + 1)))
    const maxEntries = 1 + Math.floor(random.next() * 300)
    const first = this.#queues.sliceNow(key, from, { maxEntries })
    if (first !== undefined) assertEntries(first, entries.slice(from, first.end))
    if (first !== undefined && from < entries.length) assert.ok(first.count > 0)
    const range = await this.#queues.slice(key, from, { maxEntries })
    assertEntries(range, entries.slice(from, from + maxEntries))
    const below = offset(Math.max(0, low - 1))
    if (below < low)
      await assert.rejects(this.#queues.slice(key, below), { name: 'offset_out_of_range' })
    const timeMs = Math.floor(1_000 + random.next() * (this.log.timeMs - 998))
    const newer = entries.findIndex((record, index) => index >= low && timeOf(record) >= timeMs)
    assert.equal(await this.#queues.offsetAt(key, timeMs), newer === -1 ? entries.length : newer)
    const keep = Math.floor(random.next() * (sumOf(entries.slice(low)) + 10))
    let expected = low
    while (sumOf(entries.slice(expected)) > keep) expected += 1
    assert.equal(await this.#queues.offsetKeeping(key, keep), expected)
  }

  get #bases(): LogPosition[] {
    return this.log.bases.filter((base) => base > this.#dropped)
  }

  #liveBytes(base: LogPosition): number {
    const end = this.log.bases.find((next) => next > base) ?? Number.POSITIVE_INFINITY
    const live = [...this.model.values()].flatMap(({ low, entries }) => entries.slice(low))
    return sumOf(live.filter(({ position }) => position >= base && position < end))
  }

  #open(): ConsumeQueues {
    return new ConsumeQueues({ storage: this.#storage, crc32, cacheBytes: 4_096 })
  }

  async #apply({ bytes, key }: SampleRecord): Promise<void> {
    const record = new RecordView(bytes)
    const waiting = this.#queues.prepare([record])
    if (waiting !== undefined) await waiting
    const touched = this.#queues.apply(record)
    assert.equal(touched, record.kind === 1 && record.marks === 0 ? key : undefined)
  }
}

const entry = new EntryView()
const view = new RecordView()

function assertEntries(
  range: { count: number; entry: (index: number, view: EntryView) => EntryView },
  records: readonly SampleRecord[],
): void {
  assert.equal(range.count, records.length)
  for (const [index, { bytes, position }] of records.entries()) {
    const { position: at, size, tagHash, appendedAt } = range.entry(index, entry)
    view.move(bytes, 0)
    const expected = [position, bytes.length, view.tagHash, view.appendedAt]
    assert.deepEqual([at, size, tagHash, appendedAt], expected)
  }
}

function sumOf(records: readonly SampleRecord[]): number {
  return records.reduce((sum, { bytes }) => sum + bytes.length, 0)
}

function timeOf({ bytes }: SampleRecord): Offset {
  return view.move(bytes, 0).appendedAt as Offset
}

const choice = fc.nat(15)
const step = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      op: fc.constant('messages' as const),
      choice,
      count: fc.constantFrom(1, 5, 60, 126, 127, 128, 260),
    }),
  },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('roll' as const) }) },
  {
    weight: 3,
    arbitrary: fc.record({ op: fc.constant('retire' as const), flushes: fc.boolean() }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      op: fc.constant('horizon' as const),
      choice,
      share: fc.constantFrom(-0.5, 0.01, 0.3, 0.7, 1),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      op: fc.constant('clean' as const),
      choice,
      every: fc.constantFrom(1, 1, 3, 40),
    }),
  },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('gone' as const) }) },
  {
    weight: 3,
    arbitrary: fc.record({ op: fc.constantFrom('flush' as const, 'flushBehind' as const) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      op: fc.constant('flushOnFullDisk' as const),
      roomBytes: fc.constantFrom(0, 5_000),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ op: fc.constant('checkpoint' as const), flushes: fc.boolean() }),
  },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('drop' as const) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      op: fc.constant('crash' as const),
      mode: fc.constantFrom(...crashModes),
      isNewestBad: fc.boolean(),
    }),
  },
  { weight: 3, arbitrary: fc.record({ op: fc.constant('check' as const), seed: fc.nat() }) },
)
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never

async function take(world: World, taken: Step): Promise<void> {
  switch (taken.op) {
    case 'messages':
      return world.messages(keyOf(taken.choice), taken.count)
    case 'roll':
      return world.roll()
    case 'horizon':
      return world.horizon(taken.choice, taken.share)
    case 'clean':
      return world.clean(taken.choice, taken.every)
    case 'gone':
      return world.gone(2)
    case 'flush':
      return world.flush()
    case 'flushBehind':
      return world.flushBehind()
    case 'flushOnFullDisk':
      return world.flushOnFullDisk(taken.roomBytes)
    case 'checkpoint':
      if (taken.flushes) await world.flush()
      return world.checkpoint()
    case 'retire':
      return world.retire(taken.flushes)
    case 'drop':
      return world.drop()
    case 'crash':
      return world.crash(taken.mode, taken.isNewestBad)
    case 'check':
      return world.check(taken.seed)
  }
}

void test('any history leaves the consume queues as plain arrays would be, crashes included', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 1, maxLength: 60, size: 'max' }),
      async (steps) => {
        const world = new World()
        await world.start()
        for (const taken of steps) await take(world, taken)
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
