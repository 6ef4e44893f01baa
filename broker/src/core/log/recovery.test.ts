import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crc32 } from '@popmq/kit/checksum'
import type { Storage } from '@popmq/kit'
import { enumerateCrashPoints, MemoryStorage, Scheduler, SeededRandom } from '@popmq/kit/testing'
import {
  epoch,
  isMqError,
  type LogPosition,
  logPosition,
  marks,
  offset,
  RecordView,
} from '@popmq/protocol'
import { CommitLog } from './commit-log.ts'
import { readBlocks, visitRecords } from './log-scan.ts'
import { recoverLog } from './recovery.ts'
import { sampleRun } from '../testing/sample-run.ts'
import { Segments } from './segments.ts'

const start = { from: logPosition(0), synced: logPosition(0) }
const text = new TextDecoder()

async function openLog(
  storage: Storage,
  roomBytes = 0,
): Promise<{ log: CommitLog; segments: Segments }> {
  const segments = await Segments.open(storage, roomBytes)
  if (segments.all.length === 0) await segments.roll(logPosition(0))
  const recovered = await recoverLog(segments, start, crc32)
  const log = new CommitLog({
    segments,
    clock: new Scheduler(),
    end: recovered.end,
    lastAppendedAt: recovered.lastAppendedAt,
    segmentBytes: 700,
    chunkBytes: 1_024,
    tailBytes: 0,
    mostUnsyncedBytes: 1_048_576,
    onCommit: (commit) => commit,
    onRoll: () => undefined,
    onFailed: () => undefined,
  })
  return { log, segments }
}

/** Appends one run, as the appender does. */
function append(log: CommitLog, values: readonly string[]): LogPosition {
  const bytes = sampleRun({ values })
  const room = log.reserve(bytes.length)
  room.bytes.set(bytes, room.start)
  const record = new RecordView()
  let position = log.end
  for (let at = room.start; at < room.start + bytes.length; at = record.end) {
    record.move(room.bytes, at)
    const isLast = record.end === room.start + bytes.length
    record.patch({
      position,
      offset: offset(0),
      appendedAt: log.stamp(),
      marks: isLast ? marks.lastOfRun : 0,
      leaderEpoch: epoch(1),
      syncedPosition: log.synced,
    })
    position = logPosition(position + record.length)
  }
  log.take(bytes.length)
  return log.end
}

async function valuesOf(segments: Segments, end: LogPosition): Promise<string[]> {
  const values: string[] = []
  for await (const block of readBlocks(segments, segments.start, end)) {
    visitRecords([block], (record) => values.push(text.decode(record.body)))
  }
  return values
}

interface Acknowledged {
  readonly values: readonly string[]
}

/** Three rounds of runs over several segments; what is synced is noted, the last round never is. */
async function script(
  storage: Storage,
  note: (acknowledged: Acknowledged) => void,
  roomBytes = 0,
): Promise<void> {
  const { log } = await openLog(storage, roomBytes)
  for (let round = 0; round < 3; round += 1) {
    const first = [`${round}a`.repeat(40), `${round}b`]
    const second = [`${round}c`.repeat(9)]
    append(log, first)
    const waiting = log.whenSynced(append(log, second))
    append(log, [`${round}d`.repeat(20), `${round}e`.repeat(30)])
    await waiting
    note({ values: [...first, ...second] })
  }
  await log.whenSynced(log.end)
}

/** @returns how many crashes were tried */
function crashEverywhere(roomBytes: number): Promise<number> {
  const filling = (storage: Storage, note: (acknowledged: Acknowledged) => void): Promise<void> =>
    script(storage, note, roomBytes)
  return enumerateCrashPoints<Acknowledged>(filling, async (storage, { notes }) => {
    const { log, segments } = await openLog(storage, roomBytes)
    const values = await valuesOf(segments, log.end)
    for (const note of notes)
      for (const value of note.values) assert.ok(values.includes(value), `${value} is lost`)
    // Whole runs only, in the order of their appends.
    const expected = [0, 1, 2].flatMap((round) => [
      `${round}a`.repeat(40),
      `${round}b`,
      `${round}c`.repeat(9),
      `${round}d`.repeat(20),
      `${round}e`.repeat(30),
    ])
    assert.deepEqual(values, expected.slice(0, values.length))
    assert.notEqual(values.length % 5, 1, 'a run is whole')
    assert.notEqual(values.length % 5, 4, 'a run is whole')
    // What recovery left behind recovers to the same, even when power fails at once, and takes new runs.
    await log.whenSynced(append(log, ['again']))
    const later = await openLog(
      storage.crash({ mode: 'lose', random: new SeededRandom(1) }),
      roomBytes,
    )
    assert.deepEqual(await valuesOf(later.segments, later.log.end), [...values, 'again'])
  })
}

for (const roomBytes of [0, 4_000]) {
  void test(`whatever was synced is there after a crash at any effect, and nothing half written is, with ${roomBytes} B written ahead`, async () => {
    const crashes = await crashEverywhere(roomBytes)
    assert.ok(crashes > 100, `${crashes} crashes were tried`)
  })
}

void test('a flipped bit in synced bytes refuses the log by name, wherever it is', async () => {
  const storage = new MemoryStorage()
  await script(storage, () => undefined)
  const files = await storage.list('log')
  for (const { name, bytes } of files) {
    const path = `log/${name}`
    for (let at = 0; at < bytes; at += 7) {
      const isLastFile = name === files.at(-1)?.name
      storage.flipBit(path, at, at % 8)
      const segments = await Segments.open(storage)
      // Nothing behind the last sync proves that it happened: there a checkpoint must say so.
      const synced = isLastFile ? segments.active.end : logPosition(0)
      await assert.rejects(
        recoverLog(segments, { from: logPosition(0), synced }, crc32),
        (error: unknown) => isMqError(error, 'damaged_log', 'unknown_record_kind'),
      )
      storage.flipBit(path, at, at % 8)
    }
  }
})

void test('a torn tail is cut on disk, so that it cannot come back', async () => {
  const storage = new MemoryStorage()
  const { log } = await openLog(storage)
  await log.whenSynced(append(log, ['kept']))
  const kept = log.end
  const file = await storage.open('log/00000000000000000000.log')
  assert.ok(file !== undefined)
  await file.write([new Uint8Array(50).fill(7)], kept)
  await file.sync()
  const again = await openLog(storage)
  assert.equal(again.log.end, kept)
  assert.equal((await storage.list('log'))[0]?.bytes, kept)
})

void test('a failed sync is the end: nothing is acknowledged and nothing is taken afterwards', async () => {
  const storage = new MemoryStorage()
  const { log } = await openLog(storage)
  storage.failNext('sync')
  await assert.rejects(log.whenSynced(append(log, ['lost'])), (error: unknown) =>
    isMqError(error, 'outcome_unknown'),
  )
  assert.throws(
    () => append(log, ['more']),
    (error: unknown) => isMqError(error, 'disk_failed'),
  )
})

void test('what a new process reads after a failed sync is made durable before it is trusted', async () => {
  const storage = new MemoryStorage()
  const { log } = await openLog(storage)
  storage.failNext('sync')
  await assert.rejects(log.whenSynced(append(log, ['ghost'])))
  const again = await openLog(storage)
  assert.deepEqual(await valuesOf(again.segments, again.log.end), ['ghost'])
  const later = await openLog(storage.crash({ mode: 'lose', random: new SeededRandom(1) }))
  assert.deepEqual(await valuesOf(later.segments, later.log.end), ['ghost'])
})

void test('a full disk refuses appends and loses nothing: the same bytes are written when there is room', async () => {
  const storage = new MemoryStorage()
  const scheduler = new Scheduler()
  const segments = await Segments.open(storage)
  await segments.roll(logPosition(0))
  const log = new CommitLog({
    segments,
    clock: scheduler,
    end: logPosition(0),
    lastAppendedAt: 0,
    segmentBytes: 4_096,
    chunkBytes: 4_096,
    tailBytes: 0,
    mostUnsyncedBytes: 1_048_576,
    onCommit: (commit) => commit,
    onRoll: () => undefined,
    onFailed: () => assert.fail('a full disk is not a failed one'),
  })
  storage.setCapacity(60)
  const end = append(log, ['waits'])
  await assert.rejects(log.whenSynced(end), (error: unknown) => isMqError(error, 'outcome_unknown'))
  assert.throws(
    () => append(log, ['more']),
    (error: unknown) => isMqError(error, 'disk_full'),
  )
  storage.setCapacity(1_048_576)
  await scheduler.run(2_000)
  assert.equal(log.synced, end)
  await log.whenSynced(append(log, ['more']))
  assert.deepEqual(await valuesOf(segments, log.end), ['waits', 'more'])
})
