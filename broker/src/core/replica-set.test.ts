import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crc32 } from 'node:zlib'
import { type CrashMode, MemoryStorage, Scheduler, SeededRandom } from '@popmq/kit/testing'
import {
  epoch,
  isMqError,
  offset,
  type Offset,
  partitionKey,
  partitionNumber,
  RecordView,
  topicId,
  type TopicInfo,
} from '@popmq/protocol'
import fc from 'fast-check'
import { sampleRun } from './testing/sample-run.ts'
import { logOptions } from './options.ts'
import { RecoveredSet } from './recovered-set.ts'
import type { ReplicaSet } from './replica-set.ts'

const partitions = 3
const policy = {
  retentionMs: 0,
  maxBytes: 0,
  maxMessageBytes: 1_048_576,
  dedupWindowMs: 120_000,
  replicas: 1,
}
const orders: TopicInfo = { name: 'orders', id: topicId(1), sets: [1, 1, 1], policy, createdAt: 0 }
const text = new TextDecoder()
const keyOf = (partition: number): ReturnType<typeof partitionKey> =>
  partitionKey(orders.id, partitionNumber(partition))

/** What a partition must hold: every value ever appended, by offset; below `low` unreadable. */
interface Model {
  values: string[]
  low: number
  /** Values below this offset were synced. */
  synced: number
  /** The highest low that a purge asked for, and whether it was confirmed. */
  askedLow: number
}

/** A replica set on a simulated disk, beside its plain model. */
class World {
  readonly clock = new Scheduler()
  storage = new MemoryStorage()
  set: ReplicaSet | undefined
  readonly model: Model[] = Array.from({ length: partitions }, () => ({
    values: [],
    low: 0,
    synced: 0,
    askedLow: 0,
  }))
  #epoch = 0
  #serial = 0

  async open(): Promise<void> {
    const options = logOptions({
      segmentBytes: 4_096,
      chunkBytes: 2_048,
      tailBytes: 1_024,
      cacheBytes: 4_096,
      cacheBlockBytes: 512,
      checkpointBytes: 3_000,
      retentionMs: 0,
    })
    const { storage } = this
    const recovered = await RecoveredSet.open({ storage, clock: this.clock, crc32, options })
    this.#epoch += 1
    this.set = await recovered.lead({
      epoch: epoch(this.#epoch),
      setId: 1,
      topics: [orders],
      // A set whose storage crashed fails, as it should; the living one must not.
      onFailed: (error) => assert.notEqual(storage, this.storage, error.message),
    })
  }

  get live(): ReplicaSet {
    assert.ok(this.set !== undefined)
    return this.set
  }

  append(partition: number, count: number, bytes: number): number {
    const values = Array.from({ length: count }, () => `${(this.#serial += 1)}:`.padEnd(bytes, 'x'))
    const model = this.model[partition]
    assert.ok(model !== undefined)
    const placed = this.live.append({
      key: keyOf(partition),
      topicId: orders.id,
      partition: partitionNumber(partition),
      count,
      bytes: sampleRun({ partition, values }),
      maxMessageBytes: policy.maxMessageBytes,
    })
    assert.ok('end' in placed, JSON.stringify(placed))
    assert.equal(placed.baseOffset, model.values.length)
    model.values.push(...values)
    return placed.end
  }

  async sync(partition: number): Promise<void> {
    const end = this.append(partition, 1, 8)
    await this.live.whenSynced(end as never)
    for (const model of this.model) model.synced = model.values.length
  }

  async purge(partition: number, share: number): Promise<void> {
    await this.sync(partition)
    const model = this.model[partition]
    assert.ok(model !== undefined)
    const low = Math.floor(model.values.length * share)
    if (low <= model.low) return
    await this.live.raiseLow([{ key: keyOf(partition), low: offset(low) }])
    model.low = low
  }

  async tick(): Promise<void> {
    await this.clock.run(1_000)
    await this.live.tick()
  }

  /** Power is cut while something is under way: what was synced must be back, the rest may be, as a prefix. */
  async crash(mode: CrashMode, seed: number): Promise<void> {
    this.storage = this.storage.crash({ mode, random: new SeededRandom(seed) })
    await this.open()
    for (const [partition, model] of this.model.entries()) {
      const { low, high } = this.live.bounds(keyOf(partition))
      assert.ok(
        high >= model.synced,
        `partition ${partition}: ${model.synced} were synced, ${high} are there`,
      )
      assert.equal(low, model.low)
      model.values.length = high
    }
  }

  async restart(): Promise<void> {
    await this.live.close()
    await this.open()
    for (const [partition, model] of this.model.entries()) {
      assert.equal(
        this.live.bounds(keyOf(partition)).high,
        model.values.length,
        'a stop in good order loses nothing',
      )
    }
  }

  /** Reads everything that can be read and compares. */
  async check(): Promise<void> {
    for (const [partition, model] of this.model.entries()) {
      const read = await this.#readAll(partition, offset(model.low))
      assert.deepEqual(read, model.values.slice(model.low), `partition ${partition}`)
    }
  }

  async #readAll(partition: number, from: Offset): Promise<string[]> {
    const values: string[] = []
    for (let next = from; ;) {
      const asked = { topicId: orders.id, partition: partitionNumber(partition), offset: next }
      const { results, slices } = await this.live.reader.read([asked], 900)
      const [result] = results
      if (result === undefined) return values
      assert.equal(result.error, undefined)
      values.push(...valuesIn(slices, next))
      next = result.next
    }
  }
}

/** The values of the records in some bytes, which must have dense offsets from `first` on. */
function valuesIn(slices: readonly Uint8Array[], first: number): string[] {
  const bytes = Buffer.concat(slices)
  const record = new RecordView()
  const values: string[] = []
  for (let at = 0; at < bytes.length; at = record.end) {
    record.move(bytes, at)
    assert.ok(record.fits(bytes.length) && record.crcHolds(crc32) && record.foldHolds())
    assert.equal(record.offset, first + values.length)
    values.push(text.decode(record.body))
  }
  return values
}

const partition = fc.nat(partitions - 1)
const command = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('append' as const),
      partition,
      count: fc.integer({ min: 1, max: 12 }),
      bytes: fc.integer({ min: 4, max: 120 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('sync' as const), partition }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('tick' as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('purge' as const),
      partition,
      share: fc.double({ min: 0, max: 1, noNaN: true }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('crash' as const),
      mode: fc.constantFrom<CrashMode>('lose', 'keep', 'random', 'torn'),
      seed: fc.nat(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('restart' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('check' as const) }) },
)
type Command = typeof command extends fc.Arbitrary<infer C> ? C : never

async function carryOut(world: World, step: Command): Promise<void> {
  switch (step.do) {
    case 'append':
      return void world.append(step.partition, step.count, step.bytes)
    case 'sync':
      return world.sync(step.partition)
    case 'tick':
      return world.tick()
    case 'purge':
      return world.purge(step.partition, step.share)
    case 'crash':
      return world.crash(step.mode, step.seed)
    case 'restart':
      return world.restart()
    case 'check':
      await world.sync(0)
      return world.check()
    default:
      return step satisfies never
  }
}

void test('a replica set holds what a plain model holds, through crashes, checkpoints, purges and cleaning', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(command, { minLength: 5, maxLength: 60 }), async (steps) => {
      const world = new World()
      await world.open()
      for (const step of steps) await carryOut(world, step)
      await world.sync(0)
      await world.check()
      await world.crash('lose', 1)
      await world.check()
    }),
    { numRuns: 400 },
  )
})

void test('purge gives the disk back: segments without a live message go, survivors move', async () => {
  const world = new World()
  await world.open()
  world.append(1, 3, 100)
  for (let round = 0; round < 40; round += 1) {
    world.append(0, 10, 100)
    await world.sync(0)
    await world.tick()
  }
  const before = await bytesOnDisk(world.storage)
  await world.purge(0, 1)
  for (let round = 0; round < 20; round += 1) await world.tick()
  const after = await bytesOnDisk(world.storage)
  assert.ok(before > 80_000 && after < 12_000, `${before} bytes before, ${after} after`)
  await world.check()
  await world.crash('lose', 1)
  await world.check()
})

void test('long-lived messages at the old end do not keep the dead ones behind them on disk', async () => {
  const world = new World()
  await world.open()
  for (let round = 0; round < 12; round += 1) world.append(1, 10, 100)
  for (let round = 0; round < 60; round += 1) {
    world.append(0, 10, 100)
    await world.purge(0, 1)
    await world.tick()
  }
  for (let round = 0; round < 10; round += 1) await world.tick()
  const live = 120 * 196
  const onDisk = await bytesOnDisk(world.storage)
  assert.ok(onDisk < 3 * live, `${onDisk} bytes on disk for ${live} that live`)
  await world.check()
})

async function bytesOnDisk(storage: MemoryStorage): Promise<number> {
  let sum = 0
  for (const folder of ['log', 'index'])
    for (const { bytes } of await storage.list(folder)) sum += bytes
  return sum
}

void test('a reader below the horizon is told the bounds, never moved silently', async () => {
  const world = new World()
  await world.open()
  for (let round = 0; round < 5; round += 1) world.append(0, 10, 20)
  await world.purge(0, 0.5)
  const asked = { topicId: orders.id, partition: partitionNumber(0), offset: offset(3) }
  const { results } = await world.live.reader.read([asked], 1_000)
  assert.equal(results[0]?.error, 3101)
  assert.equal(results[0].low, world.model[0]?.low)
  assert.equal(results[0].high, world.model[0]?.values.length)
})

void test('a log of an older epoch is not led again', async () => {
  const world = new World()
  await world.open()
  await world.sync(0)
  const recovered = await RecoveredSet.open({
    storage: world.storage,
    clock: world.clock,
    crc32,
    options: logOptions(),
  })
  const grant = { epoch: epoch(1), setId: 1, topics: [orders], onFailed: () => undefined }
  await assert.rejects(recovered.lead(grant), (error: unknown) =>
    isMqError(error, 'registry_behind'),
  )
})
