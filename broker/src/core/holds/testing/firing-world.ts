import { deferred, type Deferred, type Storage } from '@popmq/kit'
import { crc32 } from '@popmq/kit/checksum'
import { MemoryStorage, Scheduler } from '@popmq/kit/testing'
import {
  epoch,
  firstHeldNumber,
  type LogPosition,
  logPosition,
  type MessageSections,
  MqError,
  partitionKey,
  partitionNumber,
  recordKinds,
  RecordView,
  topicId,
} from '@popmq/protocol'
import { Appender, type PlacedRun } from '../../appender.ts'
import { LiveBytes } from '../../consume-queue/live-bytes.ts'
import { CommitLog } from '../../log/commit-log.ts'
import { readBlocks, visitRecords } from '../../log/log-scan.ts'
import { recoverLog } from '../../log/recovery.ts'
import { Segments } from '../../log/segments.ts'
import { DedupIds, NextOffsets, ProducerRuns } from '../../sequencers/index.ts'
import { sampleRun } from '../../testing/sample-run.ts'
import { sampleTopic } from '../../testing/sample-set.ts'
import { Topics } from '../../topics.ts'
import { Delays } from '../delays.ts'
import { Firing } from '../firing.ts'

const text = new TextDecoder()

/** A message that became visible. */
export interface Visible {
  readonly value: string
  readonly appendedAt: number
  readonly settles: number
}

/**
 * For tests: a log with the view of delayed messages and what fires them, on a simulated disk and clock. Opened on a
 * disk that was written before, all is rebuilt from the log.
 */
export class FiringWorld {
  readonly clock: Scheduler
  readonly storage: Storage
  readonly segments: Segments
  readonly log: CommitLog
  readonly appender: Appender
  readonly delays: Delays
  readonly nextOffsets = new NextOffsets()
  readonly producerRuns = new ProducerRuns()
  readonly dedupIds = new DedupIds({ windowMsOf: () => 120_000 })
  readonly firing: Firing
  readonly topics = new Topics(1, [sampleTopic])
  readonly unfit: number[] = []
  readonly failures: unknown[] = []
  /** When set, reads wait for it. */
  reading: Promise<void> | undefined
  isUnreadable: (position: LogPosition) => boolean = () => false
  readonly #live = new LiveBytes()
  readonly #waiting: { readonly end: LogPosition; readonly reached: Deferred<void> }[] = []
  #applied: LogPosition

  private constructor(opened: {
    clock: Scheduler
    storage: Storage
    segments: Segments
    end: LogPosition
    lastAppendedAt: number
  }) {
    const { clock, storage, segments, end, lastAppendedAt } = opened
    this.clock = clock
    this.storage = storage
    this.segments = segments
    this.#applied = end
    this.delays = new Delays({ live: this.#live, leastDead: 3 })
    for (const { base } of segments.all) this.#live.open(base)
    this.log = new CommitLog({
      segments,
      clock,
      end,
      lastAppendedAt,
      segmentBytes: 8_192,
      chunkBytes: 1_024,
      tailBytes: 1_048_576,
      mostUnsyncedBytes: 1_048_576,
      onCommit: (commit) => this.#commit(commit),
      onRoll: (base) => void this.#live.open(base),
      onFailed: (error) => this.failures.push(error),
    })
    const { log, nextOffsets, producerRuns, dedupIds, delays, topics } = this
    this.appender = new Appender({
      log,
      nextOffsets,
      producerRuns,
      dedupIds,
      crc32,
      epoch: epoch(1),
      dedupWindowMs: () => 120_000,
    })
    this.firing = new Firing({
      clock,
      crc32,
      delays,
      topics,
      appender: this.appender,
      lastAppendedAt,
      readRecord: (position, bytes) => this.read(position, bytes),
      whenSynced: (position) => log.whenSynced(position),
      whenApplied: (position) => this.whenApplied(position),
      onUnfit: (number) => this.unfit.push(number - firstHeldNumber),
      onFailed: (error) => this.failures.push(error),
    })
  }

  static async open(
    storage: Storage = new MemoryStorage(),
    clock = new Scheduler(),
  ): Promise<FiringWorld> {
    const segments = await Segments.open(storage)
    if (segments.all.length === 0) await segments.roll(logPosition(0))
    const start = { from: logPosition(0), synced: logPosition(0) }
    const { end, lastAppendedAt } = await recoverLog(segments, start, crc32)
    const world = new FiringWorld({ clock, storage, segments, end, lastAppendedAt })
    for await (const block of readBlocks(segments, segments.start, end))
      visitRecords([block], (record) => world.#rebuild(record))
    return world
  }

  #rebuild(record: RecordView): void {
    for (const sequencer of [this.nextOffsets, this.producerRuns, this.dedupIds])
      sequencer.observe(record)
    this.delays.apply(record)
  }

  /** Sends delayed messages as one run of one partition, by their delays. */
  send(
    delaysMs: readonly number[],
    sections: (index: number) => MessageSections = () => ({}),
    producer: { readonly producer?: number; readonly base?: number } = {},
  ): PlacedRun | MqError {
    const partition = partitionNumber(0)
    return this.appender.append({
      key: partitionKey(topicId(1), partition),
      topicId: topicId(1),
      partition,
      count: delaysMs.length,
      bytes: sampleRun({
        ...producer,
        kind: 'delayed',
        values: delaysMs.map((delayMs, index) => `${index} after ${delayMs}`),
        sections: (index) => ({ delayMs: delaysMs[index] ?? 0, ...sections(index) }),
      }),
      maxMessageBytes: 1_000,
    })
  }

  /** Sends delayed messages and waits until they are applied. @returns their held numbers */
  async sent(delaysMs: readonly number[]): Promise<number[]> {
    const placed = this.send(delaysMs)
    if (placed instanceof MqError) throw placed
    await this.log.whenSynced(placed.end)
    await this.whenApplied(placed.end)
    return delaysMs.map((_, index) => placed.baseOffset + index)
  }

  /** What became visible, in the order of the log. */
  async visible(): Promise<Visible[]> {
    const found: Visible[] = []
    for await (const block of readBlocks(this.segments, this.segments.start, this.log.synced)) {
      visitRecords([block], (record) => {
        if (record.kind !== recordKinds.message) return
        const bodyStart = record.end - record.bodyLength
        const view = new DataView(record.bytes.buffer, record.bytes.byteOffset)
        const settles =
          view.getUint32(bodyStart - 40, true) + view.getUint32(bodyStart - 36, true) * 2 ** 32
        found.push({ value: text.decode(record.body), appendedAt: record.appendedAt, settles })
      })
    }
    return found
  }

  async read(position: LogPosition, bytes: number): Promise<RecordView> {
    if (this.reading !== undefined) await this.reading
    if (this.isUnreadable(position)) throw new MqError('damaged_log', 'unreadable in this test')
    const segment = this.segments.at(position)
    const found = new Uint8Array(bytes)
    await segment.file.read(found, position - segment.base)
    return new RecordView(found)
  }

  whenApplied(end: LogPosition): Promise<void> {
    if (end <= this.#applied) return Promise.resolve()
    const reached = deferred()
    this.#waiting.push({ end, reached })
    return reached.promise
  }

  #commit(commit: LogPosition): LogPosition {
    visitRecords(this.log.tail.slices(this.#applied, commit), (record) => this.delays.apply(record))
    this.#applied = commit
    for (const { end, reached } of this.#waiting) if (end <= commit) reached.resolve()
    return commit
  }
}
