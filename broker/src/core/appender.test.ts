import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type ErrorName,
  MqError,
  offset,
  partitionKey,
  partitionNumber,
  topicId,
} from '@popmq/protocol'
import type { PlacedRun } from './appender.ts'
import { SampleSet, sampleTopic } from './testing/sample-set.ts'

const key = partitionKey(topicId(1), partitionNumber(0))

function placed(outcome: PlacedRun | MqError): PlacedRun {
  assert.ok(!(outcome instanceof MqError), JSON.stringify(outcome))
  return outcome
}

function refused(outcome: PlacedRun | MqError, name: ErrorName): MqError {
  assert.ok(
    outcome instanceof MqError && outcome.name === name,
    `${name} expected, got ${JSON.stringify(outcome)}`,
  )
  return outcome
}

void test('a run sent twice lies in the log once, and the second is answered with the first place', async () => {
  const sample = new SampleSet()
  const set = await sample.open()
  const run = sample.run({ producer: 7, values: ['a', 'b'] })
  const first = placed(set.append(run))
  const second = placed(set.append(run))
  assert.deepEqual(second, first)
  await set.whenSynced(second.end)
  assert.equal(set.bounds(key).high, 2)
})

void test('a duplicate is known across a restart', async () => {
  const sample = new SampleSet()
  const set = await sample.open()
  const run = sample.run({ producer: 7, values: ['a', 'b'] })
  const first = placed(set.append(run))
  await set.whenSynced(first.end)
  sample.storage = sample.storage.crash({ mode: 'lose' })
  const again = await sample.open()
  const { baseOffset, end, appendedAt } = placed(again.append(run))
  assert.deepEqual(
    { baseOffset, end, appendedAt },
    { baseOffset: first.baseOffset, end: first.end, appendedAt: first.appendedAt },
  )
  assert.equal(again.bounds(key).high, 2)
})

void test('what a producer numbers wrongly is refused by name, and nothing of it is appended', async () => {
  const sample = new SampleSet()
  const set = await sample.open()
  const send = (base: number, values: string[], producerEpoch = 1): PlacedRun | MqError =>
    set.append(sample.run({ producer: 7, producerEpoch, base, values }))
  refused(send(5, ['a']), 'producer_unknown')
  placed(send(0, ['a']))
  assert.equal(refused(send(3, ['b']), 'sequence_gap').facts['expectedBase'], 1)
  refused(send(0, ['other']), 'sequence_reused')
  refused(send(0, ['old'], 0), 'producer_fenced')
  for (let base = 1; base < 8; base += 1) placed(send(base, ['c']))
  const { end } = placed(send(8, ['d']))
  refused(send(0, ['a']), 'sequence_too_old')
  await set.whenSynced(end)
  assert.equal(set.bounds(key).high, 9)
})

void test('a clock that is set forward and back shortens no window', async () => {
  const sample = new SampleSet()
  const set = await sample.open()
  const send = (base: number) =>
    placed(set.append(sample.run({ base, values: ['a'], sections: () => ({ dedupId: 'a' }) })))
  const first = send(0)
  await sample.clock.run(100)
  const nowMs = sample.clock.now()
  sample.clock.setWall(nowMs + sampleTopic.policy.dedupWindowMs)
  await set.tick()
  sample.clock.setWall(nowMs)
  const { appendedAt, deduplicated } = send(1)
  const isStoredAgain = deduplicated.length === 0
  const agedMs = appendedAt - first.appendedAt
  assert.ok(isStoredAgain, 'to the log the window is over')
  assert.ok(agedMs >= sampleTopic.policy.dedupWindowMs, `stored again after ${agedMs} ms`)
})

void test('a dedup id is appended once within its window, also within one run and across a restart', async () => {
  const sample = new SampleSet()
  const set = await sample.open()
  const withIds = (base: number, ids: string[]): ReturnType<SampleSet['run']> =>
    sample.run({
      producer: 7,
      base,
      values: ids,
      sections: (index) => ({ dedupId: ids[index] ?? '' }),
    })
  const first = placed(set.append(withIds(0, ['x', 'y', 'x'])))
  assert.deepEqual(
    first.deduplicated.map(({ index, offset: at }) => [index, at]),
    [[2, 0]],
  )
  const second = placed(set.append(withIds(3, ['z', 'y'])))
  assert.equal(second.baseOffset, 2)
  assert.deepEqual(
    second.deduplicated.map(({ index, offset: at }) => [index, at]),
    [[1, 1]],
  )
  const whole = placed(set.append(withIds(5, ['x'])))
  assert.equal(whole.deduplicated.length, 1)
  await set.whenSynced(second.end)
  sample.storage = sample.storage.crash({ mode: 'lose' })
  const again = await sample.open()
  const retried = placed(again.append(withIds(3, ['z', 'y'])))
  assert.deepEqual(retried.deduplicated, second.deduplicated)
  assert.equal(again.bounds(key).high, 3)
  await sample.clock.run(120_000)
  const { end, deduplicated } = placed(
    again.append(sample.run({ values: ['y'], sections: () => ({ dedupId: 'y' }) })),
  )
  assert.deepEqual(deduplicated, [])
  await again.whenSynced(end)
  assert.equal(again.bounds(key).high, 4)
})

void test('after a restart a run with records left out is answered as it was, or honestly as unknown', async () => {
  const sample = new SampleSet()
  const set = await sample.open()
  const withIds = (base: number, ids: string[]): ReturnType<SampleSet['run']> =>
    sample.run({
      producer: 7,
      base,
      values: ids.map((id, index) => `${base + index}${id}`),
      sections: (index) => (ids[index] === '' ? {} : { dedupId: ids[index] ?? '' }),
    })
  placed(set.append(withIds(0, ['old', ''])))
  await sample.clock.run(60_000)
  const run = withIds(2, ['', 'twin', 'old', 'twin', 'own'])
  const first = placed(set.append(run))
  assert.deepEqual(
    first.deduplicated.map(({ index, offset: at }) => [index, at]),
    [
      [2, 0],
      [3, 3],
    ],
  )
  await set.whenSynced(first.end)
  sample.storage = sample.storage.crash({ mode: 'lose' })
  const again = await sample.open()
  assert.deepEqual(placed(again.append(run)), first)
  // The windows pass, and the ids come again elsewhere: what was left out then cannot be told from what is now.
  await sample.clock.run(120_000)
  placed(again.append(withIds(7, ['old', 'twin', 'own', ''])))
  refused(again.append(run), 'outcome_unknown')
})

void test('records that are not what they say are refused before a byte is taken', async () => {
  const sample = new SampleSet()
  const set = await sample.open()
  const good = sample.run({ values: ['first', 'second'] })
  const damaged = Uint8Array.from(good.bytes)
  damaged[good.bytes.length - 1] = 0
  refused(set.append({ ...good, bytes: damaged }), 'corrupt_record')
  refused(set.append({ ...good, bytes: good.bytes.subarray(0, -3) }), 'corrupt_record')
  refused(set.append({ ...good, count: 1 }), 'corrupt_record')
  refused(set.append({ ...good, partition: partitionNumber(1) }), 'corrupt_record')
  refused(set.append({ ...good, topicId: topicId(2) }), 'corrupt_record')
  refused(set.append(sample.run({ values: ['x'.repeat(1_001)] })), 'message_too_large')
  refused(
    set.append(sample.run({ values: [new Uint8Array(70_000)] }, 100_000)),
    'message_too_large',
  )
  assert.equal(placed(set.append(good)).baseOffset, offset(0))
})

void test('a topic that is gone takes its messages with it, and its id is free of them after a restart', async () => {
  const sample = new SampleSet()
  const set = await sample.open()
  await set.whenSynced(placed(set.append(sample.run({ values: ['a', 'b'] }))).end)
  assert.equal(set.bounds(key).high, 2)
  await set.update({ topics: [] })
  sample.topics = []
  await set.whenSynced(placed(set.append(sample.run({ topic: 2, values: ['c'] }))).end)
  assert.equal(set.bounds(key).high, 0)
  sample.storage = sample.storage.crash({ mode: 'lose' })
  assert.equal((await sample.open()).bounds(key).high, 0)
})

void test('a topic deleted while the broker was down is forgotten at its start', async () => {
  const sample = new SampleSet()
  const set = await sample.open()
  await set.whenSynced(placed(set.append(sample.run({ values: ['a'] }))).end)
  await set.close()
  sample.topics = []
  const again = await sample.open()
  await again.tick()
  await again.whenSynced(placed(again.append(sample.run({ topic: 2, values: ['c'] }))).end)
  assert.equal(again.bounds(key).high, 0)
})

void test('a clock set forward by hours does not make a retry a new run', async () => {
  const sample = new SampleSet()
  const set = await sample.open()
  const run = sample.run({ producer: 7, values: ['a'] })
  const first = placed(set.append(run))
  await set.whenSynced(first.end)
  sample.clock.setWall(sample.clock.now() + 3 * 3_600_000)
  await set.tick()
  assert.deepEqual(placed(set.append(run)), first)
  await sample.clock.run(3_600_001)
  await set.tick()
  assert.notDeepEqual(placed(set.append(run)), first)
})
