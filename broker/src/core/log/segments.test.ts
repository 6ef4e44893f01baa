import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crc32 } from '@popmq/kit/checksum'
import { MemoryStorage } from '@popmq/kit/testing'
import { logPosition } from '@popmq/protocol'
import { recoverLog } from './recovery.ts'
import { roomOf, segmentPath, Segments } from './segments.ts'

const roomBytes = 100
const bytesOf = (count: number): Uint8Array => new Uint8Array(count).fill(7)

async function openAt(storage: MemoryStorage, base = 0): Promise<Segments> {
  const segments = await Segments.open(storage, roomBytes)
  if (segments.all.length === 0) await segments.roll(logPosition(base))
  return segments
}

function sizeOf(storage: MemoryStorage, base = 0): number | undefined {
  return storage.peek(segmentPath(logPosition(base)))?.length
}

async function writesOf(
  storage: MemoryStorage,
  segments: Segments,
  sizes: number[],
): Promise<number[]> {
  const files: number[] = []
  for (const bytes of sizes) {
    await segments.write(segments.active.end, [bytesOf(bytes)])
    files.push(sizeOf(storage) ?? -1)
  }
  return files
}

void test('small writes find room that one of them made, and large ones grow the file by themselves', async () => {
  const storage = new MemoryStorage()
  const segments = await openAt(storage)
  const files = await writesOf(storage, segments, [10, 40, 40, 20, 10, 30, 200, 5])
  assert.deepEqual(files, [110, 110, 110, 110, 220, 220, 350, 455])
  assert.equal(segments.active.end, 355)
  const bytes = storage.peek(segmentPath(logPosition(0)))
  assert.deepEqual(bytes, Uint8Array.from([...bytesOf(355), ...new Uint8Array(100)]))
})

void test('a file that is done with ends where its records do', async () => {
  const storage = new MemoryStorage()
  const segments = await openAt(storage)
  await segments.write(logPosition(0), [bytesOf(10)])
  await segments.roll(logPosition(10))
  assert.equal(sizeOf(storage), 10)
  await segments.write(logPosition(10), [bytesOf(20)])
  assert.equal(sizeOf(storage, 10), 120)
  await segments.close()
  assert.equal(sizeOf(storage, 10), 20)
})

void test('after a crash the zeros are cut off, though nothing else is', async () => {
  const storage = new MemoryStorage()
  const segments = await openAt(storage)
  await segments.write(logPosition(0), [bytesOf(10)])
  await segments.sync()
  const found = await Segments.open(storage.crash({ mode: 'keep' }), roomBytes)
  assert.equal(found.active.end, 110)
  const synced = logPosition(10)
  const { end, cutBytes } = await recoverLog(found, { from: synced, synced }, crc32)
  assert.deepEqual([end, cutBytes, found.active.end], [10, 100, 10])
  assert.equal(await found.active.file.size(), 10)
})

void test('a disk without room for zeros takes the records all the same', async () => {
  const storage = new MemoryStorage()
  const segments = await openAt(storage)
  storage.setCapacity(25)
  assert.deepEqual(await writesOf(storage, segments, [10, 10]), [25, 25])
  await assert.rejects(segments.write(segments.active.end, [bytesOf(10)]), { kind: 'full' })
  assert.equal(segments.active.end, 20)
})

void test('the room is a small part of a segment', () => {
  assert.deepEqual([roomOf(4_096), roomOf(1_073_741_824)], [64, 262_144])
})
