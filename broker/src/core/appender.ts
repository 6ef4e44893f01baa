import { unreachable } from '@popmq/kit'
import {
  type Checksum,
  type Epoch,
  type LogPosition,
  logPosition,
  marks,
  MqError,
  offset,
  type Offset,
} from '@popmq/protocol'
import { type Placement, producerId, RecordView, type TimeMs, type TopicId } from '@popmq/protocol'
import type { CommitLog } from './log/commit-log.ts'
import { type ControlRecord, encodeControl } from './control-record.ts'
import { findLeftOut, type HeldRun, type SortedRun, sortOut } from './deduplication.ts'
import { type IncomingRun, type RunIdentity, verifyRun } from './incoming-run.ts'
import type {
  DedupIds,
  DroppedRecord,
  NextOffsets,
  ProducerRuns,
  Run,
  RunVerdict,
} from './sequencers/index.ts'

/** Where a run lies: now, or since it was first sent. */
export interface PlacedRun {
  /** Of its first record that is in the log; the others follow, deduplicated ones left out. */
  readonly baseOffset: Offset
  readonly appendedAt: TimeMs
  /** The run has the level asked when the log has it up to here. */
  readonly end: LogPosition
  readonly deduplicated: readonly DroppedRecord[]
}

export interface AppenderParts {
  readonly log: CommitLog
  readonly nextOffsets: NextOffsets
  readonly producerRuns: ProducerRuns
  readonly dedupIds: DedupIds
  readonly crc32: Checksum
  readonly epoch: Epoch
  readonly dedupWindowMs: (topic: TopicId) => number
}

/**
 * Puts records into the log and moves the sequencers with it, in one turn of the event loop: between judging a run and
 * its append nothing else can come. Everything is checked before a byte is taken.
 */
export class Appender {
  readonly #parts: AppenderParts
  readonly #record = new RecordView()

  constructor(parts: AppenderParts) {
    this.#parts = parts
  }

  /** Appends a run, or finds where it lies already. @returns why it is refused, if it is: then nothing was appended */
  append(run: IncomingRun): PlacedRun | MqError {
    const identity = verifyRun(run, this.#parts.crc32)
    if (identity instanceof MqError) return identity
    const numbered: Run = {
      ...identity,
      producerId: producerId(identity.producerId),
      key: run.key,
      count: run.count,
    }
    const verdict = this.#parts.producerRuns.judge(numbered)
    if (verdict.kind === 'duplicate') return this.#duplicate(run, verdict)
    if (verdict.kind !== 'append') return refusal(verdict, numbered)
    const placed = this.#place(run, identity)
    if (!(placed instanceof MqError)) this.#parts.producerRuns.record(numbered, placed)
    return placed
  }

  /** Appends records that the broker makes, as one run. @returns the position behind them */
  appendControl(control: ControlRecord): LogPosition {
    const bytes = encodeControl(control, this.#parts.crc32)
    return this.#appendOwn(bytes, this.#placement(), 0)
  }

  /** Appends a copy of a record of the log: same partition, offset and append time. @returns the position behind it */
  appendMoved(record: RecordView): LogPosition {
    const bytes = record.bytes.subarray(record.start, record.end)
    const placement = { ...this.#placement(), offset: record.offset, appendedAt: record.appendedAt }
    return this.#appendOwn(bytes, placement, marks.moved)
  }

  #appendOwn(bytes: Uint8Array, placement: Placement, extraMarks: number): LogPosition {
    const { log } = this.#parts
    const room = log.reserve(bytes.length)
    placement.position = log.end
    placement.marks = marks.lastOfRun | extraMarks
    room.bytes.set(bytes, room.start)
    this.#record.move(room.bytes, room.start).patch(placement)
    log.take(bytes.length)
    return log.end
  }

  #place(run: IncomingRun, identity: RunIdentity): PlacedRun | MqError {
    if (run.bytes.length > this.#parts.log.mostRunBytes)
      return tooLong(run.bytes.length, this.#parts.log.mostRunBytes)
    try {
      return identity.hasDedupIds ? this.#placeDeduplicated(run) : this.#placeWhole(run)
    } catch (error) {
      // `reserve` says that the log takes nothing now; anything else is a defect.
      if (error instanceof MqError) return error
      throw error
    }
  }

  /** One copy into the log's memory, then a tight loop that patches each record. */
  #placeWhole(run: IncomingRun): PlacedRun {
    const { log, nextOffsets } = this.#parts
    const room = log.reserve(run.bytes.length)
    room.bytes.set(run.bytes, room.start)
    const placement = this.#placement()
    const base = nextOffsets.take(run.key, run.count)
    const end = room.start + run.bytes.length
    placement.offset = base
    for (let at = room.start; at < end;) {
      const record = this.#record.move(room.bytes, at)
      const { length } = record
      at += length
      placement.marks = at === end ? marks.lastOfRun : 0
      record.patch(placement)
      placement.position = logPosition(placement.position + length)
      placement.offset = offset(placement.offset + 1)
    }
    log.take(run.bytes.length)
    return { baseOffset: base, appendedAt: placement.appendedAt, end: log.end, deduplicated: [] }
  }

  /** Record by record: those whose dedup id was seen within the window are left out. */
  #placeDeduplicated(run: IncomingRun): PlacedRun | MqError {
    const { log, nextOffsets, dedupIds } = this.#parts
    const nowMs = log.stamp()
    dedupIds.expire(nowMs)
    if (dedupIds.isFull)
      return new MqError('broker_busy', 'the broker remembers as many dedup ids as it may', {
        retryAfterMs: 1_000,
      })
    const sorted = sortOut(run, dedupIds, nowMs)
    const base = nextOffsets.next(run.key)
    if (sorted.kept.length === 0)
      return { baseOffset: base, appendedAt: nowMs, end: sorted.end, deduplicated: sorted.dropped }
    const placement = { ...this.#placement(), offset: base }
    const { appendedAt } = placement
    const ends = this.#appendKept(run, sorted, placement)
    nextOffsets.take(run.key, sorted.kept.length)
    for (const [index, { dedupId }] of sorted.kept.entries()) {
      if (dedupId === undefined) continue
      const receipt = {
        partition: run.partition,
        offset: offset(base + index),
        appendedAt,
        end: ends[index] ?? log.end,
      }
      dedupIds.remember(run.topicId, dedupId, {
        ...receipt,
        windowMs: this.#parts.dedupWindowMs(run.topicId),
      })
    }
    const repeated = sorted.repeated.map(([index, twin]) => {
      return { index, partition: run.partition, offset: offset(base + twin), appendedAt }
    })
    const deduplicated = [...sorted.dropped, ...repeated].toSorted((a, b) => a.index - b.index)
    return {
      baseOffset: base,
      appendedAt,
      end: logPosition(Math.max(sorted.end, log.end)),
      deduplicated,
    }
  }

  /** @returns the position behind each record */
  #appendKept(
    run: IncomingRun,
    { kept, keptBytes }: SortedRun,
    placement: Placement,
  ): LogPosition[] {
    const { log } = this.#parts
    const room = log.reserve(keptBytes)
    // `reserve` may have begun a segment, but the log's end is where it was.
    let at = room.start
    const ends = kept.map(({ start, length }, index) => {
      room.bytes.set(run.bytes.subarray(start, start + length), at)
      placement.marks = index === kept.length - 1 ? marks.lastOfRun : 0
      this.#record.move(room.bytes, at).patch(placement)
      at += length
      placement.position = logPosition(placement.position + length)
      placement.offset = offset(placement.offset + 1)
      return placement.position
    })
    log.take(keptBytes)
    return ends
  }

  #placement(): Placement {
    const { log, epoch } = this.#parts
    return {
      position: log.end,
      offset: offset(0),
      appendedAt: log.stamp(),
      marks: 0,
      leaderEpoch: epoch,
      syncedPosition: log.synced,
    }
  }

  /**
   * The answer to a run that lies in the log. Which of its records dedup ids left out is known while this process
   * lives; after a restart it is found again through the ids, as long as their window lasts.
   */
  #duplicate(
    run: IncomingRun,
    held: Extract<RunVerdict, { kind: 'duplicate' }>,
  ): PlacedRun | MqError {
    const { baseOffset, appendedAt, end, appended } = held
    const known = held.deduplicated ?? (appended === run.count ? [] : this.#leftOut(run, held))
    if (known === undefined) {
      return new MqError(
        'outcome_unknown',
        'the run was appended, but which dedup ids left records out is forgotten',
      )
    }
    return { baseOffset, appendedAt, end, deduplicated: known }
  }

  #leftOut(run: IncomingRun, held: HeldRun): readonly DroppedRecord[] | undefined {
    const { log, dedupIds } = this.#parts
    const nowMs = log.stamp()
    return findLeftOut(run, held, (dedupId) => dedupIds.find(run.topicId, dedupId, nowMs))
  }
}

function tooLong(bytes: number, most: number): MqError {
  return new MqError(
    'message_too_large',
    `a run of ${bytes} bytes does not fit in a segment of ${most}`,
    { facts: { bytes } },
  )
}

/** Why a run cannot be appended, as the producer is told. */
function refusal(
  verdict: Exclude<RunVerdict, { kind: 'append' | 'duplicate' }>,
  run: Run,
): MqError {
  const which = `run ${run.base}+${run.count} of producer ${run.producerId} epoch ${run.producerEpoch}`
  switch (verdict.kind) {
    case 'gap':
      return new MqError(
        'sequence_gap',
        `${which} leaves a gap: the next base is ${verdict.expectedBase}`,
        {
          facts: { expectedBase: verdict.expectedBase },
        },
      )
    case 'unknown':
      return new MqError(
        'producer_unknown',
        `${which} does not begin at 0 and its producer is not known here`,
      )
    case 'fenced':
      return new MqError(
        'producer_fenced',
        `${which} is of an old epoch: ${verdict.currentEpoch} is in use`,
      )
    case 'reused':
      return new MqError('sequence_reused', `${which} was used for other bytes`)
    case 'tooOld':
      return new MqError('sequence_too_old', `${which} is older than the runs that are remembered`)
    default:
      return unreachable(verdict)
  }
}
