import assert from 'node:assert/strict'
import { crc32 } from '@popmq/kit/checksum'
import { type CrashMode, MemoryStorage, Scheduler, SeededRandom } from '@popmq/kit/testing'
import {
  epoch,
  offset,
  type Offset,
  partitionKey,
  partitionNumber,
  RecordView,
  topicId,
  type TopicInfo,
} from '@popmq/protocol'
import { logOptions } from '../options.ts'
import { RecoveredSet } from '../recovered-set.ts'
import type { ReplicaSet } from '../replica-set.ts'
import { sampleRun } from './sample-run.ts'
import { sampleGroups, samplePorts } from './sample-set.ts'

export const partitions = 3
const policy = {
  retentionMs: 0,
  maxBytes: 0,
  maxMessageBytes: 1_048_576,
  dedupWindowMs: 120_000,
  replicas: 1,
}
export const orders: TopicInfo = {
  name: 'orders',
  id: topicId(1),
  sets: [1, 1, 1],
  policy,
  createdAt: 0,
}
const text = new TextDecoder()
const keyOf = (partition: number): ReturnType<typeof partitionKey> =>
  partitionKey(orders.id, partitionNumber(partition))

/** What a partition must hold: every value ever appended, by offset; below `low` unreadable. */
interface Model {
  values: string[]
  low: number
  /** Values below this offset were synced. */
  synced: number
}

/** A replica set on a simulated disk, beside its plain model. */
export class ModelledSet {
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
    const recovered = await RecoveredSet.open({
      ...samplePorts,
      storage,
      clock: this.clock,
      options,
    })
    this.#epoch += 1
    this.set = await recovered.lead({
      epoch: epoch(this.#epoch),
      setId: 1,
      ...sampleGroups,
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

  /** Upkeep goes on while runs are appended between its steps. */
  async tickWhile({ partition, runs }: { partition: number; runs: number }): Promise<void> {
    let isOver = false
    const ticking = this.live.tick().finally(() => (isOver = true))
    for (let run = 0; run < runs && !isOver; run += 1) {
      this.append(partition, 2, 100)
      await Promise.resolve()
    }
    await ticking
  }

  /** Appends while a checkpoint is written, and stops at the moment when it is durable: some runs are not synced then. */
  async appendUntilCheckpoint(partition: number): Promise<void> {
    const { storage } = this
    const before = storage.effects.length
    // The process ends before this does.
    this.live
      .tick()
      .catch((error: unknown) => assert.notEqual(storage, this.storage, String(error)))
    const isDurable = (): boolean =>
      storage.effects
        .slice(before)
        .some(({ kind, path }) => kind === 'syncFolder' && path === 'checkpoints')
    for (let run = 0; run < 500 && !isDurable(); run += 1) {
      this.append(partition, 2, 100)
      await Promise.resolve()
    }
    assert.ok(isDurable(), 'a checkpoint was written')
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
