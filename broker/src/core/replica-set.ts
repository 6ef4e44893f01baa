import type { Clock } from '@popmq/kit'
import {
  isMqError,
  keysOfTopic,
  type LogPosition,
  type MqError,
  type Offset,
  type PartitionKey,
  type ServedGroup,
  type TimeMs,
  type TopicId,
  type TopicInfo,
} from '@popmq/protocol'
import type { Appender, PlacedRun } from './appender.ts'
import type { Checkpointer } from './checkpointer.ts'
import type { Cleaner } from './cleaner.ts'
import {
  type ConsumeQueues,
  encodeHorizon,
  type Horizon,
  mostHorizons,
} from './consume-queue/index.ts'
import type { Delivering } from './delivering.ts'
import { type DiskVerdict, judgeDisk } from './disk-room.ts'
import type { FetchReader } from './fetch-reader.ts'
import { GrantFences } from './grant-fences.ts'
import type { IncomingRun } from './incoming-run.ts'
import type { BlockCache } from './log/block-cache.ts'
import type { CommitLog } from './log/commit-log.ts'
import type { Segments } from './log/segments.ts'
import type { LogOptions } from './options.ts'
import type { Retention } from './retention.ts'
import {
  type DedupIds,
  type NextOffsets,
  type ProducerRuns,
  runLifetimeMs,
} from './sequencers/index.ts'
import type { Topics } from './topics.ts'
import type { ViewSet } from './view-set.ts'
import type { Views } from './views.ts'
import type { Waiters } from './waiters.ts'

/** Everything that a leading set is made of; `RecoveredSet.lead` builds it. */
export interface ReplicaSetParts {
  readonly clock: Clock
  readonly options: LogOptions
  readonly space: () => Promise<{ readonly freeBytes: number }>
  readonly topics: Topics
  readonly segments: Segments
  readonly cache: BlockCache
  readonly log: CommitLog
  readonly appender: Appender
  readonly nextOffsets: NextOffsets
  readonly producerRuns: ProducerRuns
  readonly dedupIds: DedupIds
  readonly viewSet: ViewSet
  readonly queues: ConsumeQueues
  readonly delivering: Delivering
  readonly views: Views
  readonly waiters: Waiters
  readonly reader: FetchReader
  readonly retention: Retention
  readonly cleaner: Cleaner
  readonly checkpointer: Checkpointer
  /** Topics that the data holds and the coordinator no longer knows. */
  readonly gone: Iterable<TopicId>
  /** The append time of the newest record at the start; 0 for an empty log. */
  readonly lastAppendedAt: TimeMs
}

/** What the coordinator told: each list whole, absent when nothing in it changed. */
export interface TopicNews {
  readonly topics?: readonly TopicInfo[] | undefined
  readonly groups?: readonly ServedGroup[] | undefined
}

/** A commit log that this broker leads, with all that is derived from it: what the handlers see. */
export class ReplicaSet {
  readonly #parts: ReplicaSetParts
  readonly fences = new GrantFences()
  #disk: DiskVerdict = { state: 'ok', holdMs: 0 }
  #retentionAtMs = 0
  readonly #startedAt: TimeMs
  readonly #startedMonotonicMs: number
  /** Deleted topics whose end is not in the log yet. */
  readonly #gone: Set<TopicId>

  constructor(parts: ReplicaSetParts) {
    this.#parts = parts
    this.#startedAt = parts.clock.now()
    this.#startedMonotonicMs = parts.clock.monotonic()
    this.#gone = new Set(parts.gone)
    this.#forgetGone()
  }

  get topics(): Topics {
    return this.#parts.topics
  }
  get reader(): FetchReader {
    return this.#parts.reader
  }
  get waiters(): Waiters {
    return this.#parts.waiters
  }
  get delivering(): Delivering {
    return this.#parts.delivering
  }
  get viewSet(): ViewSet {
    return this.#parts.viewSet
  }
  get disk(): DiskVerdict {
    return this.#disk
  }

  /** Appends a run at once; it is as durable as the log's synced position says. */
  append(run: IncomingRun): PlacedRun | MqError {
    return this.#parts.appender.append(run)
  }

  /** @throws MqError `outcome_unknown` */
  whenSynced(position: LogPosition): Promise<void> {
    return this.#parts.log.whenSynced(position)
  }

  /** The offsets that can be read: [low, high). Both 0 for a partition without a message. */
  bounds(key: PartitionKey): { readonly low: Offset; readonly high: Offset } {
    const { low, high } = this.#parts.queues.bounds(key)
    return { low, high }
  }

  /** The first offset appended at or after `at`; high when nothing is that new. */
  offsetAt(key: PartitionKey, at: TimeMs): Promise<Offset> {
    return this.#parts.queues.offsetAt(key, at)
  }

  /** Makes what is below each low unreadable; resolves when that is durable and applied. */
  async raiseLow(horizons: readonly Horizon[]): Promise<void> {
    const { appender, log, views } = this.#parts
    let end = log.end
    for (let at = 0; at < horizons.length; at += mostHorizons) {
      end = appender.appendControl({
        kind: 'horizon',
        body: encodeHorizon(horizons.slice(at, at + mostHorizons)),
      })
    }
    await log.whenSynced(end)
    await views.whenApplied(end)
  }

  /**
   * Takes the coordinator's lists. Topics that are gone from it lose their messages for good, and so do groups their dead
   * letters; what resets are new is carried out before it resolves.
   */
  async update({ topics, groups }: TopicNews): Promise<void> {
    const { topics: known, delivering } = this.#parts
    const before = [...known.all]
    known.update(topics ?? [...known.users], groups)
    const gone = before.filter(({ id }) => known.get(id) === undefined)
    for (const { id } of gone) {
      this.#gone.add(id)
      this.fences.forgetTopic(id)
    }
    this.#forgetGone()
    // A reader of a deleted topic is told at once.
    for (const { id } of gone) for (const key of keysOfTopic(id)) this.#parts.waiters.wake(key)
    if (groups === undefined) delivering.dispatch.topicsChanged()
    else await delivering.update(groups)
  }

  /** Upkeep: looks at the disk, lets go what is too old, cleans, writes a checkpoint. Called again and again, never twice at once. */
  async tick(): Promise<void> {
    const {
      clock,
      options,
      space,
      log,
      producerRuns,
      dedupIds,
      cleaner,
      checkpointer,
      delivering,
    } = this.#parts
    delivering.tick()
    const { freeBytes } = await space()
    this.#disk = judgeDisk(freeBytes, options.segmentBytes)
    this.#forgetGone()
    producerRuns.expire(this.#logTime())
    // By the time that the next append gets at least: the clock alone may be set back before it.
    dedupIds.expire(log.stamp())
    if (clock.monotonic() >= this.#retentionAtMs) await this.#retain()
    if (checkpointer.isDue || cleaner.isWaiting) await checkpointer.write()
    while (await cleaner.step(checkpointer.notNeeded)) await checkpointer.write()
  }

  /** Syncs what was appended and leaves a checkpoint behind, so that the next start reads nothing again. */
  async close(): Promise<void> {
    const { log, checkpointer, queues, segments, delivering } = this.#parts
    await delivering.close()
    await log.close()
    // On a full disk some records were never synced: they were not acknowledged, and a checkpoint would claim them.
    if (log.synced === log.end) await checkpointer.write(true)
    await queues.close()
    await segments.close()
  }

  /** Figures for metrics. */
  stats(): Readonly<Record<string, number>> {
    const { log, waiters, queues, cache, producerRuns, dedupIds, delivering, viewSet } = this.#parts
    return {
      logEndBytes: log.end,
      logSyncedBytes: log.synced,
      logSyncs: log.syncs,
      waiters: waiters.size,
      dirtyPageBytes: queues.dirtyBytes,
      diskReadBytes: cache.diskBytes,
      producerWindows: producerRuns.size,
      dedupIds: dedupIds.size,
      delayedMessages: viewSet.delays.size,
      ...delivering.dispatch.stats(),
    }
  }

  /** Says in the log that a topic is gone; when the log takes nothing now, the next tick tries again. */
  #forgetGone(): void {
    const { appender, nextOffsets, producerRuns, dedupIds } = this.#parts
    for (const id of this.#gone) {
      try {
        appender.appendControl({ kind: 'topic_gone', topicId: id, body: new Uint8Array(0) })
      } catch (error) {
        if (isMqError(error)) return
        throw error
      }
      for (const sequencer of [nextOffsets, producerRuns, dedupIds]) sequencer.forgetTopic(id)
      this.#gone.delete(id)
    }
  }

  /**
   * The append time that is reached without jumps of the wall clock: how long runs are remembered is measured by it, so
   * that a clock set forward never makes a retry look like a new run. It may lag, which keeps runs longer: for the first
   * hour it also leaves out the time before the start, for nobody knows how much of that was a jump.
   */
  #logTime(): TimeMs {
    const { clock, lastAppendedAt } = this.#parts
    const upMs = clock.monotonic() - this.#startedMonotonicMs
    const isYoung = upMs < runLifetimeMs && lastAppendedAt > 0
    return upMs + (isYoung ? lastAppendedAt : Math.max(lastAppendedAt, this.#startedAt))
  }

  async #retain(): Promise<void> {
    const { clock, options, retention } = this.#parts
    const horizons = await retention.due(clock.now(), mostHorizons)
    if (horizons.length > 0) await this.raiseLow(horizons)
    // More than fits in one pass: the next tick goes on.
    this.#retentionAtMs =
      horizons.length === mostHorizons ? 0 : clock.monotonic() + options.retentionMs
  }
}
