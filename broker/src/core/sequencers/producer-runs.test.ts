import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AssertionError } from '@popmq/kit'
import {
  isMqError,
  logPosition,
  marks,
  offset,
  partitionKey,
  partitionNumber,
  producerId,
  topicId,
} from '@popmq/protocol'
import { ProducerRuns } from './producer-runs.ts'
import { foldRunCrc, type PlacedRun, type Run, runLifetimeMs } from './run.ts'
import { WrittenLog } from './testing/written-log.ts'

const key = partitionKey(topicId(1), partitionNumber(0))
const otherKey = partitionKey(topicId(2), partitionNumber(0))
const runOf = (base: number, change: Partial<Run> = {}): Run => ({
  producerId: producerId(7),
  producerEpoch: 1,
  key,
  base,
  count: 1,
  crc: (base % 1_000) + 1,
  ...change,
})
const placedAt = (at: number, appendedAt = 0): PlacedRun => ({
  baseOffset: offset(at),
  end: logPosition(at * 100 + 100),
  appendedAt,
})

/** Runs 0 to `size` − 1 of one record each, appended at the ms of their base. */
function withRuns(size: number): ProducerRuns {
  const runs = new ProducerRuns()
  for (let base = 0; base < size; base += 1) {
    assert.equal(runs.judge(runOf(base)).kind, 'append')
    runs.record(runOf(base), placedAt(base, base))
  }
  return runs
}

void test('a run that leaves a gap is refused and names the base that is expected', () => {
  assert.deepEqual(withRuns(3).judge(runOf(4)), { kind: 'gap', expectedBase: 3 })
})

void test('a retry is answered with what the original got', () => {
  assert.deepEqual(withRuns(3).judge(runOf(1)), {
    kind: 'duplicate',
    appended: 1,
    ...placedAt(1, 1),
  })
})

void test('the window is five runs: the fifth from the end is a duplicate, the sixth too old', () => {
  const runs = withRuns(6)
  assert.equal(runs.judge(runOf(1)).kind, 'duplicate')
  assert.equal(runs.judge(runOf(0)).kind, 'tooOld')
})

void test('the same sequence with other bytes, another count or other bounds is an error', () => {
  const runs = new ProducerRuns()
  runs.record(runOf(0, { count: 3 }), placedAt(0))
  assert.equal(runs.judge(runOf(0, { count: 3, crc: 5 })).kind, 'reused')
  assert.equal(runs.judge(runOf(0, { count: 2 })).kind, 'reused')
  assert.equal(runs.judge(runOf(1, { count: 2 })).kind, 'reused')
  assert.equal(runs.judge(runOf(0, { count: 3 })).kind, 'duplicate')
})

void test('a newer epoch begins at base 0 and fences the older one, in its partition only', () => {
  const runs = withRuns(3)
  runs.record(runOf(0, { key: otherKey }), placedAt(3))
  assert.equal(runs.judge(runOf(3, { producerEpoch: 2 })).kind, 'unknown')
  assert.equal(runs.judge(runOf(0, { producerEpoch: 2 })).kind, 'append')
  assert.equal(runs.judge(runOf(3)).kind, 'append')
  runs.record(runOf(0, { producerEpoch: 2 }), placedAt(4))
  for (const base of [0, 2, 3]) {
    assert.deepEqual(runs.judge(runOf(base)), { kind: 'fenced', currentEpoch: 2 })
  }
  assert.equal(runs.judge(runOf(1, { producerEpoch: 2 })).kind, 'append')
  assert.equal(runs.judge(runOf(1, { key: otherKey })).kind, 'append')
})

void test('a producer that is not known begins at base 0', () => {
  assert.equal(new ProducerRuns().judge(runOf(1)).kind, 'unknown')
  assert.equal(new ProducerRuns().judge(runOf(0)).kind, 'append')
})

void test('runs of producer 0 are always appended and never remembered', () => {
  const runs = new ProducerRuns()
  const run = runOf(9, { producerId: producerId(0) })
  assert.equal(runs.judge(run).kind, 'append')
  runs.record(run, placedAt(0))
  assert.equal(runs.judge(run).kind, 'append')
  assert.equal(runs.size, 0)
})

void test('a run expires 1 h after its append, and its producer with the last of them', () => {
  const runs = withRuns(3)
  runs.expire(runLifetimeMs - 1)
  assert.equal(runs.judge(runOf(0)).kind, 'duplicate')
  runs.expire(runLifetimeMs)
  assert.equal(runs.judge(runOf(0)).kind, 'tooOld')
  assert.equal(runs.judge(runOf(1)).kind, 'duplicate')
  runs.expire(runLifetimeMs + 1)
  assert.equal(runs.judge(runOf(3)).kind, 'append')
  runs.expire(runLifetimeMs + 2)
  assert.equal(runs.judge(runOf(3)).kind, 'unknown')
  assert.equal(runs.size, 0)
})

void test('more has expired than one call drops: verdicts are exact all the same', () => {
  const runs = new ProducerRuns()
  for (let producer = 1; producer <= 10_001; producer += 1) {
    runs.record(runOf(0, { producerId: producerId(producer) }), placedAt(producer))
  }
  runs.expire(runLifetimeMs)
  assert.equal(runs.size, 1)
  assert.equal(runs.judge(runOf(1, { producerId: producerId(10_001) })).kind, 'unknown')
  runs.expire(runLifetimeMs)
  assert.equal(runs.size, 0)
})

void test('beyond the bound the pair appended to longest ago is forgotten', () => {
  const runs = new ProducerRuns({ most: 2 })
  const by = (producer: number, base: number): Run =>
    runOf(base, { producerId: producerId(producer) })
  runs.record(by(1, 0), placedAt(0))
  runs.record(by(2, 0), placedAt(1))
  runs.record(by(1, 1), placedAt(2))
  runs.record(by(3, 0), placedAt(3))
  assert.equal(runs.judge(by(2, 1)).kind, 'unknown')
  assert.equal(runs.judge(by(1, 2)).kind, 'append')
  assert.equal(runs.judge(by(3, 1)).kind, 'append')
})

void test('sequences end at 2^32 − 1: a run beyond is refused, never wrapped', () => {
  const log = new WrittenLog()
  const base = 0xffff_ffff - 3
  log.append({
    topic: 1,
    partition: 0,
    offset: offset(0),
    appendedAt: 0,
    producer: 7,
    producerEpoch: 1,
    base,
    count: 1,
    marks: marks.lastOfRun,
  })
  const runs = new ProducerRuns()
  log.replay(runs)
  assert.equal(runs.judge(runOf(base + 1, { count: 3 })).kind, 'reused')
  assert.equal(runs.judge(runOf(base + 1, { count: 2 })).kind, 'append')
  runs.record(runOf(base + 1, { count: 2 }), placedAt(1))
  assert.equal(runs.judge(runOf(base + 3)).kind, 'reused')
  assert.equal(runs.judge(runOf(base + 1, { count: 2 })).kind, 'duplicate')
  const restored = new ProducerRuns()
  restored.restore(runs.encode())
  assert.equal(restored.judge(runOf(base + 1, { count: 2 })).kind, 'duplicate')
})

void test('after a rollback of the log the lost runs are expected again', () => {
  const log = new WrittenLog()
  const written = {
    topic: 1,
    partition: 0,
    appendedAt: 0,
    producer: 7,
    producerEpoch: 1,
    marks: marks.lastOfRun,
    count: 1,
  }
  for (const base of [0, 1, 2]) log.append({ ...written, base, offset: offset(base) })
  const runs = new ProducerRuns()
  log.replay(runs)
  assert.deepEqual(runs.judge(runOf(4)), { kind: 'gap', expectedBase: 3 })
  log.cut(1)
  runs.clear()
  log.replay(runs)
  assert.deepEqual(runs.judge(runOf(2)), { kind: 'gap', expectedBase: 1 })
  assert.equal(runs.judge(runOf(1)).kind, 'append')
})

void test('which records were dropped is told until a restart; then only how many were appended', () => {
  const log = new WrittenLog()
  const written = {
    topic: 1,
    partition: 0,
    appendedAt: 5,
    producer: 7,
    producerEpoch: 1,
    base: 0,
    count: 3,
  }
  const records = ['a', 'b', 'c'].map((value) =>
    log.append({ ...written, value, offset: offset(0) }),
  )
  const crc = records.map((record) => record.crc).reduce(foldRunCrc, 0)
  log.cut(0)
  const first = log.append({ ...written, value: 'a', offset: offset(10) })
  const last = log.append({ ...written, value: 'c', offset: offset(11), marks: marks.lastOfRun })
  const placed = {
    baseOffset: first.offset,
    end: logPosition(last.position + last.length),
    appendedAt: 5,
  }
  const deduplicated = [
    { index: 1, partition: partitionNumber(0), offset: offset(4), appendedAt: 2 },
  ]
  const live = new ProducerRuns()
  const run = runOf(0, { count: 3, crc })
  live.record(run, { ...placed, deduplicated })
  assert.deepEqual(live.judge(run), { kind: 'duplicate', appended: 2, ...placed, deduplicated })
  const rebuilt = new ProducerRuns()
  log.replay(rebuilt)
  const restored = new ProducerRuns()
  restored.restore(live.encode())
  for (const runs of [rebuilt, restored]) {
    assert.deepEqual(runs.judge(run), { kind: 'duplicate', appended: 2, ...placed })
  }
  assert.equal(rebuilt.judge({ ...run, crc: 5 }).kind, 'duplicate')
  assert.equal(restored.judge({ ...run, crc: 5 }).kind, 'reused')
  const boundless = new ProducerRuns({ mostDropped: 0 })
  boundless.record(run, { ...placed, deduplicated })
  assert.deepEqual(boundless.judge(run), { kind: 'duplicate', appended: 2, ...placed })
})

void test('a list of dropped records goes with its run', () => {
  const runs = new ProducerRuns({ mostDropped: 1 })
  const deduplicated = [
    { index: 0, partition: partitionNumber(0), offset: offset(4), appendedAt: 2 },
  ]
  const isListed = (base: number): boolean => {
    const verdict = runs.judge(runOf(base))
    return verdict.kind === 'duplicate' && verdict.deduplicated !== undefined
  }
  runs.record(runOf(0), { ...placedAt(0), deduplicated })
  runs.record(runOf(1), { ...placedAt(1), deduplicated })
  assert.deepEqual([isListed(0), isListed(1)], [true, false])
  for (const base of [2, 3, 4]) runs.record(runOf(base), placedAt(base))
  runs.record(runOf(5), { ...placedAt(5), deduplicated })
  assert.equal(isListed(5), true)
  runs.forgetTopic(topicId(1))
  runs.record(runOf(0), { ...placedAt(6), deduplicated })
  assert.equal(isListed(0), true)
})

void test('a record amid a run that is not of it, or a snapshot amid one, is a defect', () => {
  const log = new WrittenLog()
  const written = {
    topic: 1,
    partition: 0,
    appendedAt: 5,
    producer: 7,
    producerEpoch: 1,
    base: 0,
    count: 2,
  }
  log.append({ ...written, offset: offset(0) })
  const runs = new ProducerRuns()
  log.replay(runs)
  assert.throws(() => runs.encode(), AssertionError)
  log.append({ kind: 'horizon', topic: 1, partition: 0, offset: offset(0), appendedAt: 5 })
  assert.throws(() => log.replay(runs, 1), AssertionError)
  log.cut(1)
  log.append({ ...written, partition: 1, offset: offset(0) })
  assert.throws(() => log.replay(runs, 1), AssertionError)
})

void test('a snapshot of another version is refused by name', () => {
  const bytes = withRuns(1).encode()
  bytes[0] = 2
  assert.throws(
    () => new ProducerRuns().restore(bytes),
    (error: unknown) => isMqError(error, 'newer_format'),
  )
})

void test('the crc of a run tells the order of its records and is never 0', () => {
  assert.notEqual(foldRunCrc(foldRunCrc(0, 1), 2), foldRunCrc(foldRunCrc(0, 2), 1))
  assert.notEqual(foldRunCrc(0, 0), 0)
})
