import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crc32 } from '@popmq/kit/checksum'
import { AssertionError } from '@popmq/kit'
import { MemoryStorage } from '@popmq/kit/testing'
import {
  isMqError,
  logPosition,
  offset,
  partitionKey,
  partitionNumber,
  topicId,
} from '@popmq/protocol'
import { EntryView } from './entry.ts'
import { SampleLog } from './sample-log.ts'
import { applyRecord, beginQueues, fillQueue } from './sample-queues.ts'

const key = partitionKey(topicId(1), partitionNumber(0))
const other = partitionKey(topicId(1), partitionNumber(1))
const firstIndex = 'index/00000000000000000000.index'

interface BeginOptions {
  readonly storage?: MemoryStorage
  readonly snapshot?: Uint8Array
  readonly cacheBytes?: number
}

async function begin({ storage = new MemoryStorage(), ...options }: BeginOptions = {}) {
  return { storage, queues: await beginQueues({ storage, crc32, ...options }) }
}

/** Queues that were flushed and started again from their snapshot, so that pages are on disk only. */
async function restarted(count: number, options: { cacheBytes?: number } = {}) {
  const log = new SampleLog(crc32)
  const { storage, queues } = await begin()
  await fillQueue(queues, log, { of: key, count })
  await queues.flush()
  const snapshot = queues.encode(log.end)
  await queues.close()
  return { storage, log, snapshot, start: () => begin({ storage, snapshot, ...options }) }
}

void test('the cache holds no more than it may, however much is read', async () => {
  const { start } = await restarted(127 * 20, { cacheBytes: 5 * 4_096 })
  const { queues } = await start()
  for (let page = 0; page < 20; page += 1) {
    await queues.slice(key, offset(page * 127), { maxEntries: 300 })
    assert.ok(queues.cachedBytes <= 5 * 4_096)
  }
  assert.equal(queues.cachedBytes, 5 * 4_096)
})

void test('readers that want the same page at once read it once', async () => {
  const { start } = await restarted(127 * 4)
  const { queues } = await start()
  assert.equal(queues.sliceNow(key, offset(0)), undefined)
  const ranges = await Promise.all(
    [0, 1, 50].map((from) => queues.slice(key, offset(from), { maxEntries: 200 })),
  )
  assert.deepEqual(
    ranges.map(({ count }) => count),
    [200, 200, 200],
  )
  assert.equal(queues.pagesRead, 2)
  assert.equal(queues.sliceNow(key, offset(3), { maxEntries: 400 })?.count, 2 * 127 - 3)
})

void test('a flush writes all full pages of all partitions at once, and then nothing is dirty', async () => {
  const log = new SampleLog(crc32)
  const { storage, queues } = await begin()
  for (const of of [key, other, key]) await fillQueue(queues, log, { of, count: 130 })
  assert.equal(queues.dirtyBytes, 3 * 4_096)
  await queues.flush()
  assert.deepEqual(
    storage.effects.map(({ kind }) => kind),
    ['create', 'write', 'sync', 'syncFolder'],
  )
  assert.equal(queues.dirtyBytes, 0)
  await queues.flush()
  assert.equal(storage.effects.length, 4)
})

void test('what a full disk kept from being written is written by the next flush', async () => {
  const log = new SampleLog(crc32)
  const { storage, queues } = await begin()
  await fillQueue(queues, log, { of: key, count: 3 * 127 })
  storage.failNext('write', 'full')
  await assert.rejects(queues.flush(), { name: 'StorageError' })
  assert.equal(queues.dirtyBytes, 3 * 4_096)
  await queues.flush()
  assert.equal(queues.dirtyBytes, 0)
  assert.equal(storage.peek(firstIndex)?.length, 3 * 4_096)
  assert.ok(queues.encode(log.end).length < 4_096)
})

void test('a record that is moved while its page is being written is found at its new place after a restart', async () => {
  const log = new SampleLog(crc32)
  const { storage, queues } = await begin()
  await fillQueue(queues, log, { of: key, count: 127 })
  const flushing = queues.flush()
  await Promise.resolve()
  const [record] = log.records
  assert.ok(record)
  const moved = log.moved(record)
  await applyRecord(queues, moved)
  await flushing
  assert.equal(queues.dirtyBytes, 4_096)
  await queues.flush()
  const snapshot = queues.encode(log.end)
  await queues.close()
  const { queues: later } = await begin({ storage: storage.crash({ mode: 'lose' }), snapshot })
  const range = await later.slice(key, offset(0), { maxEntries: 1 })
  assert.equal(range.entry(0, new EntryView()).position, moved.position)
})

void test('a range stays as it was given while its pages change', async () => {
  const log = new SampleLog(crc32)
  const { queues } = await begin()
  await fillQueue(queues, log, { of: key, count: 100 })
  const range = queues.sliceNow(key, offset(90))
  await fillQueue(queues, log, { of: key, count: 500 })
  assert.equal(range?.count, 10)
  const positions = log.records.slice(90, 100).map(({ position }) => position)
  const view = new EntryView()
  assert.deepEqual(
    positions.map((_, index) => range.entry(index, view).position),
    positions,
  )
  assert.throws(() => range.entry(10, view), AssertionError)
})

void test('an offset out of range is refused with the bounds', async () => {
  const log = new SampleLog(crc32)
  const { queues } = await begin()
  await fillQueue(queues, log, { of: key, count: 10 })
  await applyRecord(queues, log.horizon([{ key, low: offset(4) }]))
  for (const from of [3, 11]) {
    assert.throws(
      () => queues.sliceNow(key, offset(from)),
      (error) => {
        assert.ok(isMqError(error, 'offset_out_of_range'))
        assert.deepEqual(error.facts, { low: 4, high: 10, offset: from })
        return true
      },
    )
  }
  assert.equal(queues.sliceNow(key, offset(10))?.count, 0)
  assert.equal((await queues.slice(other, offset(0))).count, 0)
  await assert.rejects(queues.slice(other, offset(1)), { name: 'offset_out_of_range' })
})

void test('a partition may begin above offset 0, but then its offsets are dense', async () => {
  const log = new SampleLog(crc32)
  const { queues } = await begin()
  for (let skipped = 0; skipped < 300; skipped += 1) log.message(key)
  await fillQueue(queues, log, { of: key, count: 200 })
  assert.deepEqual(queues.bounds(key), { low: 300, high: 500 })
  assert.equal(await queues.offsetAt(key, 0), 300)
  log.message(key)
  await assert.rejects(applyRecord(queues, log.message(key)), AssertionError)
})

void test('only a dead segment is dropped, and an unknown one is not taken for dead', async () => {
  const log = new SampleLog(crc32)
  const { queues } = await begin()
  await fillQueue(queues, log, { of: key, count: 3 })
  const second = log.roll()
  assert.throws(() => queues.liveBytes(second), AssertionError)
  queues.roll(second)
  assert.equal(queues.liveBytes(second), 0)
  await assert.rejects(queues.dropIndexFile(logPosition(0)), AssertionError)
  await applyRecord(queues, log.horizon([{ key, low: offset(3) }]))
  await queues.dropIndexFile(logPosition(0))
  await queues.dropIndexFile(logPosition(0))
  assert.equal(queues.liveBytes(logPosition(0)), 0)
})

void test('thousands of quiet partitions take little: their snapshot is a line each and nothing is dirty', async () => {
  const log = new SampleLog(crc32)
  const { queues } = await begin()
  for (let number = 0; number < 8_000; number += 1) {
    const of = partitionKey(topicId(1 + Math.floor(number / 8)), partitionNumber(number % 8))
    await fillQueue(queues, log, { of, count: 1 })
  }
  assert.equal(queues.dirtyBytes, 0)
  assert.ok(queues.encode(log.end).length < 8_000 * 70)
})
