import type { Clock, Random, Storage } from '@popmq/kit'
import {
  asMqError,
  type Checksum,
  type Epoch,
  type LogPosition,
  logPosition,
  MqError,
} from '@popmq/protocol'
import type { HandleKey, ServedGroup, TopicId, TopicInfo } from '@popmq/protocol'
import { Appender } from './appender.ts'
import type { Authenticate } from './delivery/lease-token.ts'
import { Checkpointer, factsSection, type LogFacts } from './checkpointer.ts'
import { Cleaner } from './cleaner.ts'
import { Delivering } from './delivering.ts'
import { type DerivedState, goneTopics, rebuildState } from './derived-state.ts'
import { FetchReader } from './fetch-reader.ts'
import { BlockCache } from './log/block-cache.ts'
import { type Checkpoint, Checkpoints } from './log/checkpoint.ts'
import { CommitLog } from './log/commit-log.ts'
import { LogReader } from './log/log-reader.ts'
import { type RecoveredLog, recoverLog } from './log/recovery.ts'
import { roomOf, Segments } from './log/segments.ts'
import type { LogOptions } from './options.ts'
import { ReplicaSet } from './replica-set.ts'
import { Retention } from './retention.ts'
import type { Sequencer } from './sequencers/index.ts'
import { Topics } from './topics.ts'
import { Views } from './views.ts'
import { Waiters } from './waiters.ts'

export interface RecoveredSetParts {
  readonly storage: Storage
  readonly clock: Clock
  readonly crc32: Checksum
  readonly random: Random
  readonly authenticate: Authenticate
  readonly options: LogOptions
}

/** What the coordinator gives a broker that may lead. */
export interface LeadershipGrant {
  /** Above every epoch in the log. */
  readonly epoch: Epoch
  readonly setId: number
  readonly topics: readonly TopicInfo[]
  readonly groups: readonly ServedGroup[]
  /** Handles are made with the first, and read with all. */
  readonly handleKeys: readonly HandleKey[]
  /** The data can no longer be trusted to this process. */
  readonly onFailed: (error: MqError) => void
  /** A delayed message cannot be made visible for now. */
  readonly onUnfit: (number: number, error: unknown) => void
}

/** Facts about a recovery, for logs and for the coordinator. */
export interface RecoveryFacts extends LogFacts {
  readonly endPosition: number
  readonly verifiedBytes: number
  readonly cutBytes: number
  readonly isClean: boolean
}

/**
 * A log that was made whole after a stop and is not led yet: the first of two steps, for the epoch comes from the
 * coordinator, who wants to know what the log holds.
 */
export class RecoveredSet {
  readonly #parts: RecoveredSetParts
  readonly #segments: Segments
  readonly #checkpoint: Checkpoint
  readonly #log: RecoveredLog
  readonly facts: RecoveryFacts & Readonly<Record<string, number | boolean>>

  private constructor(
    parts: RecoveredSetParts,
    opened: { segments: Segments; checkpoint: Checkpoint; log: RecoveredLog },
  ) {
    this.#parts = parts
    this.#segments = opened.segments
    this.#checkpoint = opened.checkpoint
    this.#log = opened.log
    const known = factsOf(opened.checkpoint)
    this.facts = {
      endPosition: opened.log.end,
      verifiedBytes: opened.log.verifiedBytes,
      cutBytes: opened.log.cutBytes,
      isClean: opened.checkpoint.cleanEnd === opened.log.end,
      lastAppendedAt: Math.max(known.lastAppendedAt, opened.log.lastAppendedAt),
      highestEpoch: Math.max(known.highestEpoch, opened.log.highestEpoch),
      highestTopicId: Math.max(known.highestTopicId, opened.log.highestTopicId),
    }
  }

  /** @throws MqError `damaged_log`, `unknown_record_kind`, `newer_format` */
  static async open(parts: RecoveredSetParts): Promise<RecoveredSet> {
    const checkpoint = await new Checkpoints(parts.storage, parts.crc32).newest()
    const segments = await Segments.open(parts.storage, roomOf(parts.options.segmentBytes))
    if (segments.all.length === 0 && checkpoint.synced === 0) await segments.roll(logPosition(0))
    const log = await recoverLog(
      segments,
      { from: checkpoint.sequenced, synced: checkpoint.synced },
      parts.crc32,
    )
    return new RecoveredSet(parts, { segments, checkpoint, log })
  }

  /**
   * Rebuilds what is derived from the log, takes the lead under the new epoch and says so in the log.
   * @throws MqError `registry_behind` when the epoch is not above all in the log
   */
  async lead(grant: LeadershipGrant): Promise<ReplicaSet> {
    if (grant.epoch <= this.facts.highestEpoch) {
      throw new MqError(
        'registry_behind',
        `the log holds epoch ${this.facts.highestEpoch} and the coordinator gave ${grant.epoch}`,
      )
    }
    const topics = new Topics(grant.setId, grant.topics, grant.groups)
    const { storage, crc32 } = this.#parts
    const log = { segments: this.#segments, checkpoint: this.#checkpoint, end: this.#log.end }
    return this.#build(grant, topics, await rebuildState({ ...log, storage, crc32, topics }))
  }

  async #build(grant: LeadershipGrant, topics: Topics, state: DerivedState): Promise<ReplicaSet> {
    const { epoch, onFailed } = grant
    const { clock, crc32, options, storage } = this.#parts
    const { nextOffsets, producerRuns, dedupIds, viewSet } = state
    const { queues } = viewSet
    const waiters = new Waiters(clock)
    const leading: { delivering?: Delivering } = {}
    const fail = (error: unknown): void => onFailed(asMqError(error))
    const views = new Views({
      viewSet,
      applied: this.#log.end,
      onFailed: fail,
      onApplied: (applied, visible) => {
        for (const key of visible) waiters.wake(key)
        leading.delivering?.applied(applied, visible)
      },
    })
    const log = this.#openLog(views, onFailed)
    views.follow(log.tail)
    const cache = this.#openCache()
    const reader = new LogReader(log.tail, cache)
    const dedupWindowMs = (id: TopicId): number => topics.dedupWindowMs(id)
    const appender = new Appender({ ...state, log, crc32, epoch, dedupWindowMs })
    const basis = { ...options, clock, options, log, segments: this.#segments, topics, ...state }
    const parts = { ...basis, cache, appender, views, waiters }
    const cleaner = new Cleaner({ ...parts, queues, holds: viewSet, reader })
    const checkpointer = new Checkpointer({
      ...parts,
      checkpoints: new Checkpoints(storage, crc32),
      sequencers: new Map<string, Sequencer>(
        Object.entries({ nextOffsets, producerRuns, dedupIds }),
      ),
      facts: () => this.#factsNow({ log, epoch, topics }),
      notNeeded: logPosition(0),
    })
    const gone = goneTopics(state, topics)
    const started = appender.appendControl({ kind: 'epoch_start', body: new Uint8Array(0) })
    await this.#beginEpoch(log, started)
    const { lastAppendedAt } = this.facts
    const all = { ...this.#parts, ...grant, ...parts }
    const delivering = new Delivering({ ...all, reader, lastAppendedAt, onFailed: fail })
    leading.delivering = delivering
    const set = new ReplicaSet({
      ...parts,
      queues,
      delivering,
      space: () => storage.space(),
      reader: new FetchReader({ queues, log: reader, topics, aside: delivering }),
      retention: new Retention({ queues, topics }),
      cleaner,
      checkpointer,
      gone,
      lastAppendedAt,
    })
    delivering.start(grant.groups, grant.handleKeys)
    return set
  }

  #openCache(): BlockCache {
    const { cacheBlockBytes, cacheBytes, catchUpReads } = this.#parts.options
    const sizes = { blockBytes: cacheBlockBytes, cacheBytes, readsInFlight: catchUpReads }
    return new BlockCache(this.#segments, sizes)
  }

  /** On a full disk the record waits in memory and reads go on: nothing is acknowledged before it is synced. */
  async #beginEpoch(log: CommitLog, started: LogPosition): Promise<void> {
    try {
      await log.whenSynced(started)
    } catch (error) {
      if (!log.isStalled) throw error
    }
  }

  #factsNow({ log, epoch, topics }: { log: CommitLog; epoch: Epoch; topics: Topics }): LogFacts {
    const ids = [...topics.all].map(({ id }) => id)
    return {
      lastAppendedAt: log.stamp(),
      highestEpoch: epoch,
      highestTopicId: Math.max(this.facts.highestTopicId, ...ids),
    }
  }

  #openLog(views: Views, onFailed: (error: MqError) => void): CommitLog {
    const { clock, options } = this.#parts
    return new CommitLog({
      ...options,
      segments: this.#segments,
      clock,
      end: this.#log.end,
      lastAppendedAt: this.facts.lastAppendedAt,
      onCommit: (commit) => views.commit(commit),
      onRoll: (base) => views.roll(base),
      onFailed,
    })
  }
}

function factsOf({ sections }: Checkpoint): LogFacts {
  const section = sections.get(factsSection)
  if (section === undefined) return { lastAppendedAt: 0, highestEpoch: 0, highestTopicId: 0 }
  return JSON.parse(new TextDecoder().decode(section)) as LogFacts
}
