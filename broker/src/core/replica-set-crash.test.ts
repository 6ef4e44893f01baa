import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Storage } from '@popmq/kit'
import { crc32 } from '@popmq/kit/checksum'
import { enumerateCrashPoints, MemoryStorage, Scheduler } from '@popmq/kit/testing'
import {
  epoch,
  offset,
  type Offset,
  partitionKey,
  partitionNumber,
  RecordView,
} from '@popmq/protocol'
import { logOptions } from './options.ts'
import { RecoveredSet } from './recovered-set.ts'
import type { ReplicaSet } from './replica-set.ts'
import { sampleRun } from './testing/sample-run.ts'
import { sampleGroups, samplePorts, sampleTopic } from './testing/sample-set.ts'

/** What was promised of one partition: acknowledged below `high`, purged below `low`. */
interface Promised {
  readonly partition: number
  readonly high?: number
  readonly low?: number
}

const options = logOptions({
  segmentBytes: 4_096,
  chunkBytes: 2_048,
  tailBytes: 1_024,
  cacheBlockBytes: 512,
  cacheBytes: 4_096,
  checkpointBytes: 2_000,
  retentionMs: 0,
})
const keyOf = (partition: number): ReturnType<typeof partitionKey> =>
  partitionKey(sampleTopic.id, partitionNumber(partition))
const valueAt = (partition: number, at: number): string => `${partition}:${at}`.padEnd(90, '.')

async function open(storage: Storage, number: number): Promise<ReplicaSet> {
  const recovered = await RecoveredSet.open({
    ...samplePorts,
    storage,
    clock: new Scheduler(),
    options,
  })
  const grant = { ...sampleGroups, setId: 1, topics: [sampleTopic], onFailed: () => undefined }
  return recovered.lead({ ...grant, epoch: epoch(number) })
}

async function append(set: ReplicaSet, partition: number, count: number): Promise<number> {
  const { high } = set.bounds(keyOf(partition))
  const values = Array.from({ length: count }, (_, index) => valueAt(partition, high + index))
  const placed = set.append({
    key: keyOf(partition),
    topicId: sampleTopic.id,
    partition: partitionNumber(partition),
    count,
    bytes: sampleRun({ partition, values }),
    maxMessageBytes: 1_000,
  })
  assert.ok('end' in placed)
  await set.whenSynced(placed.end)
  return high + count
}

/** Fills segments of two partitions, purges one of them, and lets cleaning move the other's messages along. */
async function script(storage: Storage, note: (promised: Promised) => void): Promise<void> {
  const set = await open(storage, 1)
  for (let round = 0; round < 6; round += 1) {
    note({ partition: 1, high: await append(set, 1, 2) })
    for (let run = 0; run < 2; run += 1) note({ partition: 0, high: await append(set, 0, 10) })
    const low = offset(round * 20 + 17)
    await set.raiseLow([{ key: keyOf(0), low }])
    note({ partition: 0, low })
    await set.tick()
  }
}

void test('after a crash at any effect of appends, purges, checkpoints and cleaning every promise is kept', async () => {
  const crashes = await enumerateCrashPoints<Promised>(
    script,
    async (storage, { notes }) => {
      const set = await open(storage, 2)
      for (const partition of [0, 1]) {
        const own = notes.filter((promised) => promised.partition === partition)
        const acknowledged = Math.max(0, ...own.map(({ high = 0 }) => high))
        const purged = Math.max(0, ...own.map(({ low = 0 }) => low))
        const { low, high } = set.bounds(keyOf(partition))
        assert.ok(
          high >= acknowledged,
          `${partition} ends at ${high}, ${acknowledged} were promised`,
        )
        assert.ok(low >= purged, `${partition} begins at ${low}, below ${purged} was purged`)
        assert.ok(partition === 0 || low === 0, 'what was not purged is kept')
        assert.deepEqual(
          await readAll(set, partition, low),
          Array.from({ length: high - low }, (_, index) => valueAt(partition, low + index)),
        )
      }
      // It goes on: upkeep runs over whatever the crash left, and nothing is missing afterwards.
      const end = await append(set, 1, 1)
      for (let round = 0; round < 3; round += 1) await set.tick()
      assert.equal((await readAll(set, 1, offset(0))).length, end)
    },
    { draws: 2 },
  )
  assert.ok(crashes > 500, `${crashes} crashes were tried`)
  const whole = new MemoryStorage()
  await script(whole, () => undefined)
  const removed = whole.effects.filter(
    ({ kind, path }) => kind === 'remove' && path.startsWith('log/'),
  )
  assert.ok(removed.length >= 2, `${removed.length} segments were cleaned and removed`)
})

async function readAll(set: ReplicaSet, partition: number, from: Offset): Promise<string[]> {
  const values: string[] = []
  const record = new RecordView()
  for (let next = from; ;) {
    const asked = {
      topicId: sampleTopic.id,
      partition: partitionNumber(partition),
      offset: next,
    }
    const { results, slices } = await set.reader.read([asked], 4_000)
    const [result] = results
    if (result === undefined) return values
    assert.equal(result.error, undefined)
    const bytes = Buffer.concat(slices)
    for (let at = 0; at < bytes.length; at = record.end) {
      record.move(bytes, at)
      assert.ok(record.crcHolds(crc32) && record.foldHolds())
      values.push(new TextDecoder().decode(record.body))
    }
    next = result.next
  }
}
