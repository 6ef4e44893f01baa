import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MqError, offset, partitionKey, partitionNumber, topicId } from '@popmq/protocol'
import { logFolder, segmentBase } from './log/segments.ts'
import type { ReplicaSet } from './replica-set.ts'
import { SampleSet } from './testing/sample-set.ts'

const key = partitionKey(topicId(1), partitionNumber(0))

async function fill(sample: SampleSet, set: ReplicaSet, messages: number): Promise<void> {
  for (let index = 0; index < messages; index += 1) {
    const outcome = set.append(sample.run({ values: ['x'.repeat(900)] }))
    assert.ok(!(outcome instanceof MqError))
    await set.whenSynced(outcome.end)
  }
}

async function segmentBases(sample: SampleSet): Promise<number[]> {
  const files = await sample.storage.list(logFolder)
  return files.flatMap(({ name }) => segmentBase(name) ?? [])
}

void test('a purge gives the only segment back although nobody appends any more', async () => {
  const sample = new SampleSet()
  const set = await sample.open()
  await fill(sample, set, 20)
  await set.raiseLow([{ key, low: offset(20) }])
  assert.deepEqual(await segmentBases(sample), [0])
  for (let tick = 0; tick < 4; tick += 1) await set.tick()
  const bases = await segmentBases(sample)
  assert.equal(bases.length, 1)
  assert.ok((bases[0] ?? 0) > 20_000, `the log begins at ${bases.join(', ')}`)

  sample.storage = sample.storage.crash({ mode: 'lose' })
  const next = await sample.open()
  assert.deepEqual(next.bounds(key), { low: 20, high: 20 })
})

void test('a segment that is full and alive is not cleaned while the next one has no file yet', async () => {
  const sample = new SampleSet()
  const set = await sample.open()
  await fill(sample, set, 60)
  // Fills the segment up; its successor is decided on and not written.
  const outcomes = Array.from({ length: 8 }, () =>
    set.append(sample.run({ values: ['x'.repeat(900)] })),
  )
  await set.tick()
  for (const outcome of outcomes) assert.ok(!(outcome instanceof MqError))
  for (let tick = 0; tick < 4; tick += 1) await set.tick()
  const bases = await segmentBases(sample)
  assert.equal(bases[0], 0)
  assert.equal(bases.length, 2)
  assert.deepEqual(set.bounds(key), { low: 0, high: 68 })
})
