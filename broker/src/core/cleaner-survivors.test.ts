import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crc32 } from '@popmq/kit/checksum'
import { MemoryStorage, Scheduler } from '@popmq/kit/testing'
import {
  copyRecord,
  decodeSource,
  encodeSource,
  epoch,
  heldKey,
  kindName,
  type LogPosition,
  logPosition,
  marks,
  MqError,
  offset,
  partitionKey,
  partitionNumber,
  partitionOfKey,
  readSections,
  type RecordKind,
  RecordView,
  topicOfKey,
} from '@popmq/protocol'
import { Appender } from './appender.ts'
import { Cleaner } from './cleaner.ts'
import { ConsumeQueues, encodeHorizon, EntryView, type Horizon } from './consume-queue/index.ts'
import { SampleHands } from './consume-queue/sample-hands.ts'
import { BlockCache } from './log/block-cache.ts'
import { CommitLog } from './log/commit-log.ts'
import { LogReader } from './log/log-reader.ts'
import { segmentPath, Segments } from './log/segments.ts'
import { logOptions } from './options.ts'
import { Retention } from './retention.ts'
import { DedupIds, NextOffsets, ProducerRuns } from './sequencers/index.ts'
import { sampleGroup } from './testing/sample-group.ts'
import { SampleSet, sampleTopic } from './testing/sample-set.ts'
import { Topics } from './topics.ts'
import { Views } from './views.ts'

const hourMs = 3_600_000
const partition = partitionNumber(0)
const key = partitionKey(sampleTopic.id, partition)
const options = logOptions({ segmentBytes: 65_536, chunkBytes: 8_192, tailBytes: 8_192 })
const group = sampleGroup(1, { deadRetentionMs: 2 * hourMs })
const letters = partitionKey(group.deadTopicId, partitionNumber(1))
const topics = new Topics(
  1,
  [{ ...sampleTopic, policy: { ...sampleTopic.policy, retentionMs: hourMs } }],
  [group],
)

/** A log that is led and cleaned, and beside its queues a view of what somebody has in hand. */
class CleanedLog {
  readonly clock = new Scheduler()
  readonly hands = new SampleHands()
  readonly queues: ConsumeQueues
  readonly log: CommitLog
  readonly segments: Segments
  readonly cleaner: Cleaner
  readonly #views: Views
  readonly #appender: Appender
  readonly #retention: Retention
  readonly #sample = new SampleSet()
  readonly #storage: MemoryStorage

  constructor(storage: MemoryStorage, segments: Segments) {
    this.#storage = storage
    const { clock, hands } = this
    const fail = (error: unknown): void => assert.ifError(error)
    const queues = new ConsumeQueues({ storage, crc32, keepers: hands })
    const viewSet = {
      roll: (base: LogPosition) => queues.roll(base),
      prepare: (records: Iterable<RecordView>) => queues.prepare(records),
      apply: (record: RecordView) => {
        const touched = queues.apply(record)
        hands.apply(record, queues)
        return touched
      },
    }
    const applied = logPosition(0)
    const views = new Views({ viewSet, applied, onApplied: () => undefined, onFailed: fail })
    const log = new CommitLog({
      ...options,
      segments,
      clock,
      end: logPosition(0),
      lastAppendedAt: 0,
      onCommit: (commit) => views.commit(commit),
      onRoll: (base) => views.roll(base),
      onFailed: fail,
    })
    views.follow(log.tail)
    const sequencers = {
      nextOffsets: new NextOffsets(),
      producerRuns: new ProducerRuns(),
      dedupIds: new DedupIds({ windowMsOf: () => 0 }),
    }
    const dedupWindowMs = (): number => 0
    this.#appender = new Appender({ ...sequencers, log, crc32, epoch: epoch(1), dedupWindowMs })
    const cache = new BlockCache(segments, {
      blockBytes: 4_096,
      cacheBytes: 8_192,
      readsInFlight: 1,
    })
    const reader = new LogReader(log.tail, cache)
    const parts = { ...options, log, segments, queues, views, reader, cache, holds: hands }
    this.cleaner = new Cleaner({ ...parts, appender: this.#appender })
    this.#retention = new Retention({ queues, topics })
    this.queues = queues
    this.log = log
    this.segments = segments
    this.#views = views
  }

  static async begin(): Promise<CleanedLog> {
    const storage = new MemoryStorage()
    const segments = await Segments.open(storage)
    await segments.roll(logPosition(0))
    const cleaned = new CleanedLog(storage, segments)
    await cleaned.queues.start()
    cleaned.queues.roll(logPosition(0))
    return cleaned
  }

  async messages(count: number): Promise<void> {
    for (let left = count; left > 0; left -= 1) {
      const outcome = this.#appender.append(this.#sample.run({ values: ['x'.repeat(900)] }))
      assert.ok(!(outcome instanceof MqError))
      await this.applied(outcome.end)
    }
  }

  control(kind: 'leased' | 'settled' | 'horizon', places: readonly Horizon[]): Promise<void> {
    return this.applied(this.#appender.appendControl({ kind, body: encodeHorizon(places) }))
  }

  /** Appends a copy of the message at `at`. @returns the number or offset of the copy */
  async copy(kind: RecordKind, at: number): Promise<number> {
    const original = this.recordAt(this.positionOf(at))
    const source = encodeSource({
      cause: 'nack',
      attempts: 1,
      groupId: group.groupId,
      topicId: sampleTopic.id,
      partition,
      expiries: 0,
      settles: at,
      offset: offset(at),
      firstAppendedAt: 0,
      fingerprint: 0,
      generation: 0,
      at: 0,
    })
    const place = kind === 'dead' ? letters : key
    const [topic, number] = [topicOfKey(place), partitionOfKey(place)]
    const head = { kind, topicId: topic, partition: number, attempt: 1, source }
    const bytes = copyRecord(original, head, crc32)
    const copied = this.#appender.appendCopy(bytes, kind === 'dead' ? letters : heldKey)
    await this.applied(copied.end)
    return copied.offset
  }

  /** Lets go what the topic no longer keeps. */
  async retain(): Promise<void> {
    await this.control('horizon', await this.#retention.due(this.clock.now(), 10))
  }

  /** Cleans until nothing is left to do; no checkpoint needs anything. */
  async clean(): Promise<void> {
    for (let steps = 0; await this.cleaner.step(this.log.end); steps += 1) assert.ok(steps < 10)
  }

  async applied(position: LogPosition): Promise<void> {
    await this.log.whenSynced(position)
    await this.#views.whenApplied(position)
  }

  positionOf(at: number): LogPosition {
    const kept = this.queues.kept(key, offset(at))
    assert.ok(kept !== undefined || at >= this.queues.bounds(key).low)
    return kept?.position ?? this.find((record) => record.topicId === 1 && record.offset === at)
  }

  /** The last record of the log that is looked for. */
  find(wanted: (record: RecordView) => boolean): LogPosition {
    const found = this.positions().filter((position) => wanted(this.recordAt(position)))
    return found.at(-1) ?? assert.fail('the record is in the log')
  }

  positions(): LogPosition[] {
    const positions: LogPosition[] = []
    for (let at = this.segments.start; at < this.log.end;) {
      positions.push(at)
      at = logPosition(at + this.recordAt(at).length)
    }
    return positions
  }

  recordAt(position: LogPosition): RecordView {
    const { base } = this.segments.at(position)
    const bytes = this.#storage.peek(segmentPath(base)) ?? assert.fail('the segment has a file')
    const record = new RecordView().move(bytes, position - base)
    assert.ok(record.crcHolds(crc32) && record.foldHolds() && record.position === position)
    return record
  }
}

void test('a message in hand that outlives the hour of its topic does not pin its segment: it is moved', async () => {
  const cleaned = await CleanedLog.begin()
  await cleaned.messages(30)
  await cleaned.control('leased', [{ key, low: offset(3) }])
  cleaned.log.roll()
  await cleaned.clock.run(hourMs + 1)
  await cleaned.messages(5)
  await cleaned.retain()
  assert.deepEqual(cleaned.queues.bounds(key), { low: 30, high: 35 })
  await cleaned.clean()
  assert.ok(cleaned.segments.start > 30 * 900, `the log begins at ${cleaned.segments.start}`)
  const moved = cleaned.recordAt(cleaned.positionOf(3))
  assert.deepEqual([moved.offset, moved.bodyLength], [3, 900])
  assert.equal(cleaned.queues.kept(key, offset(4)), undefined)

  await cleaned.control('settled', [{ key, low: offset(3) }])
  assert.equal(cleaned.queues.kept(key, offset(3)), undefined)
  assert.equal(cleaned.queues.liveBytes(cleaned.segments.start), cleaned.queues.keptBytes(key))
})

void test('of what is held cleaning moves what nobody has let go, and of control records nothing', async () => {
  const cleaned = await CleanedLog.begin()
  await cleaned.messages(30)
  const settled = await cleaned.copy('retry', 1)
  const waiting = await cleaned.copy('retry', 2)
  const delayed = await cleaned.copy('delayed', 3)
  await cleaned.control('settled', [{ key, low: offset(settled) }])
  cleaned.log.roll()
  await cleaned.clock.run(hourMs + 1)
  await cleaned.messages(1)
  await cleaned.retain()
  await cleaned.clean()
  assert.ok(cleaned.segments.start > 30 * 900)
  const left = cleaned.positions().map((position) => cleaned.recordAt(position))
  const moved = left.filter(({ marks: set }) => (set & marks.moved) !== 0)
  assert.deepEqual(
    moved.map(({ kind, offset: number }) => [kindName(kind), number]),
    [
      ['retry', waiting],
      ['delayed', delayed],
    ],
  )
  for (const { offset: number, position } of moved)
    assert.equal(cleaned.hands.pointsAt(number, position), true)
})

void test('dead letters outlive the segment of their messages, until they are too old themselves', async () => {
  const cleaned = await CleanedLog.begin()
  await cleaned.messages(30)
  assert.equal(await cleaned.copy('dead', 7), 0)
  assert.equal(await cleaned.copy('dead', 8), 1)
  cleaned.log.roll()
  await cleaned.clock.run(hourMs + 1)
  await cleaned.messages(1)
  await cleaned.retain()
  await cleaned.clean()
  assert.ok(cleaned.segments.start > 30 * 900)
  assert.deepEqual(cleaned.queues.bounds(letters), { low: 0, high: 2 })
  const range = await cleaned.queues.slice(letters, offset(0))
  const sources = [0, 1].map((index) => {
    const { position } = range.entry(index, new EntryView())
    const { source } = readSections(cleaned.recordAt(position))
    return decodeSource(source ?? new Uint8Array(0)).offset
  })
  assert.deepEqual(sources, [7, 8])
  await cleaned.clock.run(hourMs)
  await cleaned.retain()
  assert.deepEqual(cleaned.queues.bounds(letters), { low: 2, high: 2 })
})
