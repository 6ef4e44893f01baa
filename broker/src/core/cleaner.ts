import { isHeld, isQueued, RecordView, type LogPosition, writeU64 } from '@popmq/protocol'
import type { Appender } from './appender.ts'
import type { ConsumeQueues } from './consume-queue/index.ts'
import type { BlockCache } from './log/block-cache.ts'
import type { CommitLog } from './log/commit-log.ts'
import type { LogReader } from './log/log-reader.ts'
import { readBlocks } from './log/log-scan.ts'
import type { Segment, Segments } from './log/segments.ts'
import type { Views } from './views.ts'

/** Says which held records are alive. */
export interface Holds {
  /** Whether the held record of this number is the one at `position`. What is not applied yet counts as alive. */
  pointsAt(number: number, position: LogPosition): boolean
}

export interface CleanerParts {
  readonly log: CommitLog
  readonly segments: Segments
  readonly appender: Appender
  readonly queues: Pick<ConsumeQueues, 'isLive' | 'liveBytes' | 'dropIndexFile'>
  /** The records that are held one by one, by number. */
  readonly holds: Holds
  readonly views: Views
  readonly reader: LogReader
  readonly cache: BlockCache
  /** The oldest segment is cleaned when at most this share of it, or of all closed ones, is alive. */
  readonly cleanBelowShare: number
  readonly segmentBytes: number
}

/** Less is not worth a file: the records about cleaning are dead themselves and must not call for more of it. */
const leastRolledBytes = 1_024

/**
 * Gives the disk back. The oldest segment goes through these states, one segment at a time:
 *
 *     kept ──at most `cleanBelowShare` alive, of it or of all closed ones──▶ moving      its survivors are appended again, marked as moved
 *     moving ──all applied──▶ emptied                       a drop record says that nothing names it any more
 *     emptied ──no checkpoint needs it, no reader holds it──▶ removed
 *
 * What survives depends on the kind of a record. A message or dead letter does while its entry points at it: it is
 * readable, or somebody has it in hand. A retry or delayed message does while it is held. A control record never does.
 *
 * Everything is decided in the log, so a crash in any state begins again at `kept` and finds less to move.
 */
export class Cleaner {
  readonly #parts: CleanerParts
  #emptied: LogPosition | undefined

  constructor(parts: CleanerParts) {
    this.#parts = parts
  }

  /** Whether a segment waits for checkpoints to pass its end. */
  get isWaiting(): boolean {
    return this.#emptied !== undefined
  }

  /** Does what can be done now. `notNeeded`: no kept checkpoint needs the log below. @returns whether a file was removed */
  async step(notNeeded: LogPosition): Promise<boolean> {
    this.#rollWhenDead()
    const { log, segments } = this.#parts
    const { oldest } = segments
    if (oldest === undefined || oldest.base === log.activeBase) return false
    // It may be closed although the file behind it comes with the next append: on a full disk that is our own.
    await log.whenSynced(log.activeBase)
    if (this.#emptied !== oldest.base) {
      if (!this.#isWorthCleaning(oldest)) return false
      await this.#moveSurvivors(oldest)
      this.#emptied = oldest.base
    }
    if (notNeeded < oldest.end) {
      // Two checkpoints must pass the end, each at a position of its own, and perhaps nobody else appends.
      await this.#sayDropped(oldest)
      return false
    }
    await this.#remove(oldest)
    return true
  }

  /** A large active segment that is mostly dead is closed, or a purge would give nothing back until it is full. */
  #rollWhenDead(): void {
    const { log, queues, views, segmentBytes, cleanBelowShare } = this.#parts
    // The views know of a segment with its first record.
    if (views.applied <= log.activeBase) return
    const bytes = log.end - log.activeBase
    const isLarge = bytes > Math.max(leastRolledBytes, segmentBytes / 64)
    if (isLarge && queues.liveBytes(log.activeBase) <= bytes * cleanBelowShare) log.roll()
  }

  /**
   * The oldest segment is mostly dead, or all closed segments together are: then long-lived messages at the old end
   * are moved on, or they would keep the dead ones behind them on disk for ever.
   */
  #isWorthCleaning(oldest: Segment): boolean {
    const { log, segments, views } = this.#parts
    const isClosed = ({ base, end }: Segment): boolean =>
      base < log.activeBase && end <= views.applied
    const closed = segments.all.filter(isClosed)
    if (!isClosed(oldest)) return false
    return this.#areMostlyDead([oldest]) || this.#areMostlyDead(closed)
  }

  #areMostlyDead(closed: readonly Segment[]): boolean {
    const bytes = closed.reduce((sum, { base, end }) => sum + end - base, 0)
    const live = closed.reduce((sum, { base }) => sum + this.#parts.queues.liveBytes(base), 0)
    return live <= bytes * this.#parts.cleanBelowShare
  }

  async #moveSurvivors(segment: Segment): Promise<void> {
    const { log, segments, queues, views } = this.#parts
    await views.whenApplied(segment.end)
    if (queues.liveBytes(segment.base) > 0) {
      for await (const block of readBlocks(segments, segment.base, segment.end)) {
        await this.#moveBlock(block)
        // One block at a time: cleaning never takes more of the disk or of the unsynced bytes than that.
        await log.whenSynced(log.end)
      }
    }
    await this.#sayDropped(segment)
  }

  /** Saying it twice says the same. */
  async #sayDropped(segment: Segment): Promise<void> {
    const { log, views, appender } = this.#parts
    const body = new Uint8Array(8)
    writeU64(new DataView(body.buffer), 0, segment.base)
    const end = appender.appendControl({ kind: 'drop_segment', body })
    await log.whenSynced(end)
    await views.whenApplied(end)
  }

  async #moveBlock(block: Uint8Array): Promise<void> {
    const { appender } = this.#parts
    const record = new RecordView()
    for (let at = 0; at < block.length; at = record.end) {
      record.move(block, at)
      const isAlive = this.#isAlive(record)
      if (isAlive === true || (isAlive !== false && (await isAlive))) appender.appendMoved(record)
    }
  }

  #isAlive(record: RecordView): boolean | Promise<boolean> {
    const { queues, holds } = this.#parts
    if (isQueued(record.kind)) return queues.isLive(record)
    if (!isHeld(record.kind)) return false
    const { offset, position } = record
    return holds.pointsAt(offset, position)
  }

  async #remove(segment: Segment): Promise<void> {
    const { segments, queues, reader, cache } = this.#parts
    await reader.unpinned()
    await queues.dropIndexFile(segment.base)
    await segments.dropOldest()
    cache.dropBelow(segment.end)
    this.#emptied = undefined
  }
}
