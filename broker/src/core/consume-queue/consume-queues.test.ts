import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crc32 } from 'node:zlib'
import { AssertionError } from '@popmq/kit'
import { MemoryStorage } from '@popmq/kit/testing'
import { isMqError, logPosition, offset, partitionKey } from '@popmq/protocol'
import { type PartitionKey, partitionNumber, RecordView, topicId } from '@popmq/protocol'
import fc from 'fast-check'
import { ConsumeQueues } from './consume-queues.ts'
import { EntryView } from './entry.ts'
import { SampleLog, type SampleRecord } from './sample-log.ts'

const key = partitionKey(topicId(1), partitionNumber(0))
const other = partitionKey(topicId(1), partitionNumber(1))
const firstIndex = 'index/00000000000000000000.index'

async function begin(
  options: { storage?: MemoryStorage; snapshot?: Uint8Array; cacheBytes?: number } = {},
) {
  const { storage = new MemoryStorage(), snapshot, cacheBytes } = options
  const queues = new ConsumeQueues({
    storage,
    crc32,
    ...(cacheBytes === undefined ? {} : { cacheBytes }),
  })
  await queues.start(snapshot)
  queues.roll(logPosition(0))
  return { storage, queues }
}

async function apply(queues: ConsumeQueues, { bytes }: SampleRecord): Promise<void> {
  const record = new RecordView(bytes)
  await queues.prepare([record])
  queues.apply(record)
}

/** Applies `count` messages of a partition. */
async function fill(
  queues: ConsumeQueues,
  log: SampleLog,
  { of = key, count }: { of?: PartitionKey; count: number },
): Promise<void> {
  for (let left = count; left > 0; left -= 1) await apply(queues, log.message(of))
}

/** Queues that were flushed and started again from their snapshot, so that pages are on disk only. */
async function restarted(count: number, options: { isSealed?: boolean; cacheBytes?: number } = {}) {
  const { isSealed = false, ...rest } = options
  const log = new SampleLog(crc32)
  const { storage, queues } = await begin()
  await fill(queues, log, { count })
  if (isSealed) queues.roll(log.roll())
  await queues.flush()
  const snapshot = queues.encode(log.end)
  await queues.close()
  return { storage, log, snapshot, start: () => begin({ storage, snapshot, ...rest }) }
}

void test('a bit that flips in a page on disk is found when it is read, and the file is named', async () => {
  const { storage, start } = await restarted(127 * 3)
  await fc.assert(
    fc.asyncProperty(fc.nat(4_096 * 3 - 1), fc.nat(7), async (at, bit) => {
      storage.flipBit(firstIndex, at, bit)
      const { queues } = await start()
      const page = Math.floor(at / 4_096)
      await assert.rejects(queues.slice(key, offset(page * 127 + 5)), (error) => {
        return isMqError(error, 'damaged_log') && error.facts['file'] === firstIndex
      })
      assert.equal(queues.sliceNow(key, offset(page * 127 + 5)), undefined)
      const whole = (page + 1) % 3
      assert.equal((await queues.slice(key, offset(whole * 127), { maxEntries: 127 })).count, 127)
      await queues.close()
      storage.flipBit(firstIndex, at, bit)
    }),
    { numRuns: 200 },
  )
})

void test('a bit that flips in the table of a sealed file is found at the start', async () => {
  const { storage, start } = await restarted(127 * 2, { isSealed: true })
  const bytes = storage.peek(firstIndex)?.length ?? 0
  assert.ok(bytes > 2 * 4_096)
  for (let at = 2 * 4_096; at < bytes; at += 1) {
    storage.flipBit(firstIndex, at, at % 8)
    await assert.rejects(start(), { name: 'damaged_log' })
    storage.flipBit(firstIndex, at, at % 8)
  }
  await start()
})

void test('an index file that is missing or too short is found at the start', async () => {
  const { storage, start } = await restarted(127)
  const bytes = storage.peek(firstIndex) ?? new Uint8Array(0)
  storage.plant(firstIndex, bytes.slice(0, 4_095))
  await assert.rejects(start(), { name: 'damaged_log' })
  await storage.remove(firstIndex)
  await assert.rejects(start(), { name: 'damaged_log' })
})

void test('a snapshot that is cut, or of another version, is refused', async () => {
  const { storage, snapshot } = await restarted(200)
  for (const length of [0, 3, 27, 100, snapshot.length - 1]) {
    await assert.rejects(begin({ storage, snapshot: snapshot.slice(0, length) }), {
      name: 'damaged_log',
    })
  }
  const newer = snapshot.slice()
  newer[3] = 2
  await assert.rejects(begin({ storage, snapshot: newer }), { name: 'newer_format' })
})

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
  for (const of of [key, other, key]) await fill(queues, log, { of, count: 130 })
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
  await fill(queues, log, { count: 3 * 127 })
  storage.failNext('write', 'full')
  await assert.rejects(queues.flush(), { name: 'StorageError' })
  assert.equal(queues.dirtyBytes, 3 * 4_096)
  await queues.flush()
  assert.equal(queues.dirtyBytes, 0)
  assert.equal(storage.peek(firstIndex)?.length, 3 * 4_096)
  assert.ok(queues.encode(log.end).length < 4_096)
})

void test('a start removes what was written after its snapshot', async () => {
  const { storage, log, start } = await restarted(127 * 2)
  const { queues } = await start()
  await fill(queues, log, { count: 127 })
  const second = log.roll()
  queues.roll(second)
  await fill(queues, log, { count: 127 })
  await queues.flush()
  assert.equal((await storage.list('index')).length, 2)
  await start()
  assert.deepEqual(await storage.list('index'), [{ name: firstIndex.slice(6), bytes: 2 * 4_096 }])
})

void test('a start keeps the files that an older snapshot may still name', async () => {
  const { storage, log, snapshot: older, start } = await restarted(127 * 2)
  const { queues } = await start()
  queues.roll(log.roll())
  await apply(queues, log.horizon([{ key, low: offset(254) }]))
  await queues.dropIndexFile(logPosition(0))
  await begin({ storage, snapshot: queues.encode(log.end) })
  const { queues: again } = await begin({ storage, snapshot: older })
  assert.equal((await again.slice(key, offset(0))).count, 254)
})

void test('a record that is moved while its page is being written is found at its new place after a restart', async () => {
  const log = new SampleLog(crc32)
  const { storage, queues } = await begin()
  await fill(queues, log, { count: 127 })
  const flushing = queues.flush()
  await Promise.resolve()
  const [record] = log.records
  assert.ok(record)
  const moved = log.moved(record)
  await apply(queues, moved)
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
  await fill(queues, log, { count: 100 })
  const range = queues.sliceNow(key, offset(90))
  await fill(queues, log, { count: 500 })
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
  await fill(queues, log, { count: 10 })
  await apply(queues, log.horizon([{ key, low: offset(4) }]))
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
  await fill(queues, log, { count: 200 })
  assert.deepEqual(queues.bounds(key), { low: 300, high: 500 })
  assert.equal(await queues.offsetAt(key, 0), 300)
  log.message(key)
  await assert.rejects(apply(queues, log.message(key)), AssertionError)
})

void test('a dropped index file stays until no snapshot that may be used names it', async () => {
  const log = new SampleLog(crc32)
  const { storage, queues } = await begin()
  await fill(queues, log, { count: 254 })
  queues.roll(log.roll())
  await queues.flush()
  const named = log.end
  queues.encode(named)
  await apply(queues, log.horizon([{ key, low: offset(254) }]))
  await queues.dropIndexFile(logPosition(0))
  await queues.removeDropped(named)
  assert.ok(storage.peek(firstIndex))
  await queues.removeDropped(logPosition(named + 1))
  assert.equal(storage.peek(firstIndex), undefined)
})

void test('the pages of a dropped index file that are still in use go to the active one', async () => {
  const log = new SampleLog(crc32)
  const { storage, queues } = await begin({ cacheBytes: 4_096 })
  await fill(queues, log, { count: 254 })
  const old = [...log.records]
  // The pages stay in the old file, though their records move within it and to later segments.
  queues.roll(log.roll())
  for (const record of old) await apply(queues, log.moved(record))
  queues.roll(log.roll())
  await queues.flush()
  queues.roll(log.roll())
  await queues.dropIndexFile(logPosition(0))
  const snapshot = queues.encode(log.end)
  await queues.removeDropped(logPosition(log.end + 1))
  const { queues: later } = await begin({ storage: storage.crash({ mode: 'lose' }), snapshot })
  const range = await later.slice(key, offset(0), { maxEntries: 254 })
  const positions = log.records.slice(254).map(({ position }) => position)
  assert.deepEqual(
    positions.map((_, index) => range.entry(index, new EntryView()).position),
    positions,
  )
  assert.equal(storage.peek(firstIndex), undefined)
})

void test('only a dead segment is dropped, and an unknown one is not taken for dead', async () => {
  const log = new SampleLog(crc32)
  const { queues } = await begin()
  await fill(queues, log, { count: 3 })
  const second = log.roll()
  assert.throws(() => queues.liveBytes(second), AssertionError)
  queues.roll(second)
  assert.equal(queues.liveBytes(second), 0)
  await assert.rejects(queues.dropIndexFile(logPosition(0)), AssertionError)
  await apply(queues, log.horizon([{ key, low: offset(3) }]))
  await queues.dropIndexFile(logPosition(0))
  await queues.dropIndexFile(logPosition(0))
  assert.equal(queues.liveBytes(logPosition(0)), 0)
})

void test('thousands of quiet partitions take little: their snapshot is a line each and nothing is dirty', async () => {
  const log = new SampleLog(crc32)
  const { queues } = await begin()
  for (let number = 0; number < 8_000; number += 1) {
    const of = partitionKey(topicId(1 + Math.floor(number / 8)), partitionNumber(number % 8))
    await fill(queues, log, { of, count: 1 })
  }
  assert.equal(queues.dirtyBytes, 0)
  assert.ok(queues.encode(log.end).length < 8_000 * 70)
})
