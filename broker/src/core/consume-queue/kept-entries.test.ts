import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AssertionError } from '@popmq/kit'
import { crc32 } from '@popmq/kit/checksum'
import { MemoryStorage } from '@popmq/kit/testing'
import {
  logPosition,
  offset,
  type Offset,
  partitionKey,
  type PartitionKey,
  partitionNumber,
  RecordView,
  topicId,
} from '@popmq/protocol'
import type { ConsumeQueues } from './consume-queues.ts'
import { SampleLog, type SampleRecord } from './sample-log.ts'
import { applyRecord, beginQueues, fillQueue } from './sample-queues.ts'

const key = partitionKey(topicId(1), partitionNumber(0))
const first = logPosition(0)

/** A log of one partition, its queues, and the offsets that somebody has in hand. */
class Sample {
  readonly log = new SampleLog(crc32)
  readonly storage = new MemoryStorage()
  readonly inHand = new Set<number>()

  begin(snapshot?: Uint8Array): Promise<ConsumeQueues> {
    const { storage, inHand } = this
    const heldBelow = (_: PartitionKey, low: Offset): Offset[] =>
      [...inHand].filter((at) => at < low).map(offset)
    const options = { storage, crc32, cacheBytes: 4_096, keepers: { heldBelow } }
    return beginQueues(snapshot === undefined ? options : { ...options, snapshot })
  }

  async filled(count: number): Promise<ConsumeQueues> {
    const queues = await this.begin()
    await fillQueue(queues, this.log, { of: key, count })
    return queues
  }

  /** Stops in good order and starts again: full pages are on disk only. */
  async again(queues: ConsumeQueues): Promise<ConsumeQueues> {
    await queues.flush()
    const snapshot = queues.encode(this.log.end)
    await queues.close()
    return this.begin(snapshot)
  }

  raise(queues: ConsumeQueues, ...lows: number[]): Promise<unknown> {
    const horizons = lows.map((low) => ({ key, low: offset(low) }))
    return applyRecord(queues, this.log.horizon(horizons))
  }

  take(...offsets: number[]): void {
    for (const at of offsets) this.inHand.add(at)
  }

  record(at: number): SampleRecord {
    const record = this.log.records[at]
    assert.ok(record !== undefined)
    return record
  }
}

function keptAt(queues: ConsumeQueues, offsets: readonly number[]): (number | undefined)[] {
  return offsets.map((at) => queues.kept(key, offset(at))?.position)
}

void test('an entry that outlives its horizon says what it said before, although its page was on disk', async () => {
  const sample = new Sample()
  const queues = await sample.begin()
  await fillQueue(queues, sample.log, { of: key, count: 130 })
  await applyRecord(queues, sample.log.message(key, { tag: 'eu', bodyBytes: 9 }))
  await fillQueue(queues, sample.log, { of: key, count: 200 })
  const later = await sample.again(queues)
  sample.take(130, 131)
  await sample.raise(later, 254)
  const record = new RecordView(sample.record(130).bytes)
  assert.deepEqual(later.kept(key, offset(130)), {
    position: record.position,
    size: record.length,
    flags: record.flags,
    kind: record.kind,
    attempt: 0,
    tagHash: record.tagHash,
    keyHash: 0,
    appendedAt: record.appendedAt,
  })
  assert.equal(later.kept(key, offset(131))?.tagHash, 0)
  assert.equal(later.kept(key, offset(132)), undefined)
})

void test('a kept entry is in no slice and none of the partition’s bytes, but its segment is alive', async () => {
  const sample = new Sample()
  const queues = await sample.filled(10)
  queues.roll(sample.log.roll())
  sample.take(3)
  await sample.raise(queues, 10)
  const { length } = sample.record(3).bytes
  assert.deepEqual(queues.bounds(key), { low: 10, high: 10 })
  assert.throws(() => queues.sliceNow(key, offset(3)), { name: 'offset_out_of_range' })
  assert.equal(queues.keptBytes(key), 0)
  assert.equal(queues.liveBytes(first), length)
  assert.equal(await queues.isLive(new RecordView(sample.record(3).bytes)), true)
  assert.equal(await queues.isLive(new RecordView(sample.record(4).bytes)), false)
  await assert.rejects(queues.dropIndexFile(first), AssertionError)
  queues.letGo(key, offset(3))
  queues.letGo(key, offset(3))
  assert.equal(queues.kept(key, offset(3)), undefined)
  assert.equal(queues.liveBytes(first), 0)
  assert.equal(await queues.isLive(new RecordView(sample.record(3).bytes)), false)
})

void test('a kept entry stays when later horizons pass it, and who is done with it before is not kept', async () => {
  const sample = new Sample()
  const queues = await sample.filled(40)
  sample.take(3, 12, 20)
  await sample.raise(queues, 10)
  assert.deepEqual(keptAt(queues, [3, 12, 20]), [sample.record(3).position, undefined, undefined])
  queues.letGo(key, offset(12))
  sample.inHand.delete(12)
  await sample.raise(queues, 30)
  assert.deepEqual(keptAt(queues, [3, 12, 20]), [
    sample.record(3).position,
    undefined,
    sample.record(20).position,
  ])
})

void test('two horizons of a partition in one record keep what either passes', async () => {
  const sample = new Sample()
  const queues = await sample.again(await sample.filled(400))
  sample.take(5, 200)
  await sample.raise(queues, 130, 300)
  assert.deepEqual(keptAt(queues, [5, 200]), [
    sample.record(5).position,
    sample.record(200).position,
  ])
})

void test('what is moved points at its copy, kept or about to be, and the old segment can go', async () => {
  const sample = new Sample()
  const queues = await sample.again(await sample.filled(254))
  queues.roll(sample.log.roll())
  sample.take(5, 140)
  await sample.raise(queues, 127)
  const kept = sample.log.moved(sample.record(5))
  await applyRecord(queues, kept)
  // Prepared together: the entry that was foreseen is no longer right.
  const about = sample.log.moved(sample.record(140))
  const horizon = sample.log.horizon([{ key, low: offset(254) }])
  await queues.prepare([new RecordView(about.bytes), new RecordView(horizon.bytes)])
  queues.apply(new RecordView(about.bytes))
  queues.apply(new RecordView(horizon.bytes))
  assert.deepEqual(keptAt(queues, [5, 140]), [kept.position, about.position])
  assert.equal(queues.liveBytes(first), 0)
  await queues.dropIndexFile(first)
  assert.equal(await queues.isLive(new RecordView(about.bytes)), true)
})

void test('messages in hand on many pages are kept without holding the pages', async () => {
  const sample = new Sample()
  const pages = 600
  const queues = await sample.again(await sample.filled(127 * pages))
  const offsets = Array.from({ length: pages }, (_, page) => page * 127 + (page % 127))
  sample.take(...offsets)
  const horizon = new RecordView(sample.log.horizon([{ key, low: offset(127 * pages) }]).bytes)
  await queues.prepare([horizon])
  const inMemory = offsets.filter((at) => queues.sliceNow(key, offset(at)) !== undefined)
  assert.ok(inMemory.length <= 1, `${inMemory.length} pages are in memory`)
  queues.apply(horizon)
  assert.deepEqual(
    keptAt(queues, offsets),
    offsets.map((at) => sample.record(at).position),
  )
})

void test('kept entries are back after a restart, and go with their topic', async () => {
  const sample = new Sample()
  const filled = await sample.filled(200)
  sample.take(7, 150)
  await sample.raise(filled, 160)
  const queues = await sample.again(filled)
  assert.deepEqual(keptAt(queues, [7, 150]), [
    sample.record(7).position,
    sample.record(150).position,
  ])
  const live = [7, 150].reduce((sum, at) => sum + sample.record(at).bytes.length, 0)
  assert.equal(queues.liveBytes(first), live + queues.keptBytes(key))
  await applyRecord(queues, sample.log.gone(topicId(1)))
  assert.deepEqual(keptAt(queues, [7, 150]), [undefined, undefined])
  assert.equal(queues.liveBytes(first), 0)
})

void test('what another view counts as live is live after a restart too', async () => {
  const sample = new Sample()
  const queues = await sample.filled(1)
  const record = sample.log.held(key, 'retry')
  await applyRecord(queues, record)
  assert.deepEqual(queues.bounds(key), { low: 0, high: 1 })
  const before = queues.liveBytes(first)
  const { live } = queues
  live.add(live.numberAt(record.position), record.bytes.length)
  const later = await sample.again(queues)
  assert.equal(later.liveBytes(first), before + record.bytes.length)
})

void test('a snapshot of version 1 is read: nothing was kept then', async () => {
  const sample = new Sample()
  const queues = await sample.filled(3)
  const snapshot = queues.encode(sample.log.end)
  // One partition, no page behind it: the number of its kept entries ends the snapshot.
  const old = snapshot.slice(0, snapshot.length - 4)
  old[3] = 1
  const later = await sample.begin(old)
  assert.deepEqual(later.bounds(key), { low: 0, high: 3 })
  assert.equal(later.keptBytes(key), queues.keptBytes(key))
  assert.equal(later.kept(key, offset(0)), undefined)
})
