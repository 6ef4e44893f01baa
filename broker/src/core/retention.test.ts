import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MqError, partitionKey, partitionNumber, topicId } from '@popmq/protocol'
import type { ReplicaSet } from './replica-set.ts'
import { SampleSet, sampleTopic } from './testing/sample-set.ts'

const key = partitionKey(topicId(1), partitionNumber(0))

async function fill(sample: SampleSet, set: ReplicaSet, messages: number): Promise<void> {
  for (let index = 0; index < messages; index += 1) {
    const outcome = set.append(sample.run({ values: ['x'.repeat(100)] }))
    assert.ok(!(outcome instanceof MqError))
    await set.whenSynced(outcome.end)
    await sample.clock.run(1_000)
  }
}

void test('a message older than the retention of its topic goes, and not a moment sooner', async () => {
  const sample = new SampleSet({ retentionMs: 0 })
  sample.topics = [{ ...sampleTopic, policy: { ...sampleTopic.policy, retentionMs: 10_000 } }]
  const set = await sample.open()
  await fill(sample, set, 10)
  await set.tick()
  assert.deepEqual(set.bounds(key), { low: 0, high: 10 })
  await sample.clock.run(1)
  await set.tick()
  assert.deepEqual(set.bounds(key), { low: 1, high: 10 })
  await sample.clock.run(5_000)
  await set.tick()
  assert.deepEqual(set.bounds(key), { low: 6, high: 10 })
  await sample.clock.run(60_000)
  await set.tick()
  assert.deepEqual(set.bounds(key), { low: 10, high: 10 })
})

void test('a topic keeps no more than its bytes, oldest first', async () => {
  const sample = new SampleSet({ retentionMs: 0 })
  sample.topics = [{ ...sampleTopic, policy: { ...sampleTopic.policy, maxBytes: 1_000 } }]
  const set = await sample.open()
  await fill(sample, set, 20)
  await set.tick()
  // A record takes 196 bytes, and all partitions of the topic are here.
  assert.deepEqual(set.bounds(key), { low: 15, high: 20 })
})

void test('what retention let go stays gone after a crash', async () => {
  const sample = new SampleSet({ retentionMs: 0 })
  sample.topics = [{ ...sampleTopic, policy: { ...sampleTopic.policy, maxBytes: 1_000 } }]
  const set = await sample.open()
  await fill(sample, set, 20)
  await set.tick()
  sample.storage = sample.storage.crash({ mode: 'lose' })
  assert.deepEqual((await sample.open()).bounds(key), { low: 15, high: 20 })
})

void test('a shorter retention counts at once', async () => {
  const sample = new SampleSet({ retentionMs: 0 })
  const keeping = (retentionMs: number): void => {
    sample.topics = [{ ...sampleTopic, policy: { ...sampleTopic.policy, retentionMs } }]
  }
  keeping(3_600_000)
  const set = await sample.open()
  await fill(sample, set, 10)
  await set.tick()
  assert.deepEqual(set.bounds(key), { low: 0, high: 10 })
  keeping(5_000)
  await set.update({ topics: sample.topics })
  await set.tick()
  assert.deepEqual(set.bounds(key), { low: 5, high: 10 })
})
