import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crc32 } from '@popmq/kit/checksum'
import { MemoryStorage } from '@popmq/kit/testing'
import {
  isMqError,
  logPosition,
  offset,
  partitionKey,
  partitionNumber,
  topicId,
} from '@popmq/protocol'
import fc from 'fast-check'
import { EntryView } from './entry.ts'
import { SampleLog } from './sample-log.ts'
import { applyRecord, beginQueues, fillQueue, type SampleOptions } from './sample-queues.ts'

const key = partitionKey(topicId(1), partitionNumber(0))
const firstIndex = 'index/00000000000000000000.index'

async function begin({
  storage = new MemoryStorage(),
  ...options
}: Partial<Omit<SampleOptions, 'storage'>> & { readonly storage?: MemoryStorage } = {}) {
  return { storage, queues: await beginQueues({ storage, crc32, ...options }) }
}

/** Queues that were flushed and left their snapshot; `isSealed` when the log has rolled on. */
async function stopped(count: number, { isSealed = false } = {}) {
  const log = new SampleLog(crc32)
  const { storage, queues } = await begin()
  await fillQueue(queues, log, { of: key, count })
  if (isSealed) queues.roll(log.roll())
  await queues.flush()
  const snapshot = queues.encode(log.end)
  await queues.close()
  return { storage, log, snapshot, start: () => begin({ storage, snapshot }) }
}

void test('a bit that flips in a page on disk is found when it is read, and the file is named', async () => {
  const { storage, start } = await stopped(127 * 3)
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
  const { storage, start } = await stopped(127 * 2, { isSealed: true })
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
  const { storage, start } = await stopped(127)
  const bytes = storage.peek(firstIndex) ?? new Uint8Array(0)
  storage.plant(firstIndex, bytes.slice(0, 4_095))
  await assert.rejects(start(), { name: 'damaged_log' })
  await storage.remove(firstIndex)
  await assert.rejects(start(), { name: 'damaged_log' })
})

void test('a snapshot that is cut, or of another version, is refused', async () => {
  const { storage, snapshot } = await stopped(200)
  for (const length of [0, 3, 27, 100, snapshot.length - 1]) {
    await assert.rejects(begin({ storage, snapshot: snapshot.slice(0, length) }), {
      name: 'damaged_log',
    })
  }
  const newer = snapshot.slice()
  newer[3] = 3
  await assert.rejects(begin({ storage, snapshot: newer }), { name: 'newer_format' })
})

void test('a start removes what was written after its snapshot', async () => {
  const { storage, log, start } = await stopped(127 * 2)
  const { queues } = await start()
  await fillQueue(queues, log, { of: key, count: 127 })
  const second = log.roll()
  queues.roll(second)
  await fillQueue(queues, log, { of: key, count: 127 })
  await queues.flush()
  assert.equal((await storage.list('index')).length, 2)
  await start()
  assert.deepEqual(await storage.list('index'), [{ name: firstIndex.slice(6), bytes: 2 * 4_096 }])
})

void test('a start keeps the files that an older snapshot may still name', async () => {
  const { storage, log, snapshot: older, start } = await stopped(127 * 2)
  const { queues } = await start()
  queues.roll(log.roll())
  await applyRecord(queues, log.horizon([{ key, low: offset(254) }]))
  await queues.dropIndexFile(logPosition(0))
  await begin({ storage, snapshot: queues.encode(log.end) })
  const { queues: again } = await begin({ storage, snapshot: older })
  assert.equal((await again.slice(key, offset(0))).count, 254)
})

void test('a dropped index file stays until no snapshot that may be used names it', async () => {
  const log = new SampleLog(crc32)
  const { storage, queues } = await begin()
  await fillQueue(queues, log, { of: key, count: 254 })
  queues.roll(log.roll())
  await queues.flush()
  const named = log.end
  queues.encode(named)
  await applyRecord(queues, log.horizon([{ key, low: offset(254) }]))
  await queues.dropIndexFile(logPosition(0))
  await queues.removeDropped(named)
  assert.ok(storage.peek(firstIndex))
  await queues.removeDropped(logPosition(named + 1))
  assert.equal(storage.peek(firstIndex), undefined)
})

void test('the pages of a dropped index file that are still in use go to the active one', async () => {
  const log = new SampleLog(crc32)
  const { storage, queues } = await begin({ cacheBytes: 4_096 })
  await fillQueue(queues, log, { of: key, count: 254 })
  const old = [...log.records]
  // The pages stay in the old file, though their records move within it and to later segments.
  queues.roll(log.roll())
  for (const record of old) await applyRecord(queues, log.moved(record))
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
