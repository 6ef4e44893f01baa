import {
  type Checksum,
  type Epoch,
  heldKey,
  type LogPosition,
  logPosition,
  marks,
  MqError,
  offset,
  type Offset,
  type PartitionKey,
  type Placement,
} from '@popmq/protocol'
import { producerId, RecordView, sourceBytes, type TimeMs, type TopicId } from '@popmq/protocol'
import type { CommitLog } from './log/commit-log.ts'
import { type ControlRecord, encodeControl } from './control-record.ts'
import { findLeftOut, type HeldRun, type SortedRun, sortOut } from './deduplication.ts'
import { type IncomingRun, type RunIdentity, verifyRun } from './incoming-run.ts'
import { refusal, tooLong } from './run-refusal.ts'
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
  /**
   * Of its first record that is in the log; the others follow, deduplicated ones left out. A held number when the run
   * is of delayed messages.
   */
  readonly baseOffset: Offset
  readonly appendedAt: TimeMs
  /** The run has the level asked when the log has it up to here. */
  readonly end: LogPosition
  readonly deduplicated: readonly DroppedRecord[]
}

/** Where a copy lies that the broker made. */
export interface PlacedCopy {
  readonly offset: Offset
  readonly end: LogPosition
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
    const { crc32, log, producerRuns } = this.#parts
    const identity = verifyRun(run, { crc32, nowMs: log.stamp() })
    if (identity instanceof MqError) return identity
    const numbered: Run = {
      ...identity,
      producerId: producerId(identity.producerId),
      key: run.key,
      count: run.count,
    }
    const verdict = producerRuns.judge(numbered)
    if (verdict.kind === 'duplicate') return this.#duplicate(run, verdict)
    if (verdict.kind !== 'append') return refusal(verdict, numbered)
    const placed = this.#place(run, identity)
    if (!(placed instanceof MqError)) producerRuns.record(numbered, placed)
    return placed
  }

  /**
   * Appends a record that the broker makes for itself. A patient one waits for the next sync that somebody else needs.
   * @returns the position behind it
   * @throws MqError `disk_full`, `broker_busy`, `disk_failed`, `shutting_down`, `message_too_large`; nothing is appended
   */
  appendControl(
    control: ControlRecord,
    { isPatient = false }: { readonly isPatient?: boolean } = {},
  ): LogPosition {
    const bytes = encodeControl(control, this.#parts.crc32)
    return this.#appendOwn(bytes, this.#placement(), isPatient)
  }

  /** Appends a copy of a record of the log: same partition, offset and append time. @returns the position behind it */
  appendMoved(record: RecordView): LogPosition {
    const bytes = record.bytes.subarray(record.start, record.end)
    const { offset: at, appendedAt } = record
    return this.#appendOwn(bytes, this.#placement({ offset: at, appendedAt, marks: marks.moved }))
  }

  /**
   * Appends a copy that the broker made of a message, see `copyRecord`: with the next offset of a partition, or the
   * next held number under `heldKey`. Its append time is not before `notBefore`: a time that has come.
   * @throws MqError as `appendControl`
   */
  appendCopy(bytes: Uint8Array, key: PartitionKey, notBefore: TimeMs = 0): PlacedCopy {
    const { nextOffsets, log } = this.#parts
    const placement = { offset: nextOffsets.next(key), appendedAt: log.stamp(notBefore) }
    const end = this.#appendOwn(bytes, this.#placement(placement))
    nextOffsets.take(key, 1)
    return { offset: placement.offset, end }
  }

  #appendOwn(bytes: Uint8Array, placement: Placement, isPatient = false): LogPosition {
    const { log } = this.#parts
    if (bytes.length > log.mostRunBytes) throw tooLong(bytes.length, log.mostRunBytes)
    const room = log.reserve(bytes.length)
    placement.position = log.end
    placement.marks |= marks.lastOfRun
    room.bytes.set(bytes, room.start)
    this.#record.move(room.bytes, room.start).patch(placement)
    log.take(bytes.length, { isPatient })
    return log.end
  }

  #place(run: IncomingRun, identity: RunIdentity): PlacedRun | MqError {
    const { mostRunBytes } = this.#parts.log
    const mostBytes = mostRunBytes - (identity.isDelayed ? roomToGrow : 0)
    if (run.bytes.length > mostBytes) return tooLong(run.bytes.length, mostBytes)
    const counter = identity.isDelayed ? heldKey : run.key
    try {
      return identity.hasDedupIds
        ? this.#placeDeduplicated(run, counter)
        : this.#placeWhole(run, counter)
    } catch (error) {
      // `reserve` says that the log takes nothing now; anything else is a defect.
      if (error instanceof MqError) return error
      throw error
    }
  }

  /**
   * One copy into the log's memory, then a tight loop that patches each record. `counter` gives the offsets: the
   * partition, or all that is held.
   */
  #placeWhole(run: IncomingRun, counter: PartitionKey): PlacedRun {
    const { log, nextOffsets } = this.#parts
    const room = log.reserve(run.bytes.length)
    room.bytes.set(run.bytes, room.start)
    const placement = this.#placement()
    const base = nextOffsets.take(counter, run.count)
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
  #placeDeduplicated(run: IncomingRun, counter: PartitionKey): PlacedRun | MqError {
    const { log, nextOffsets, dedupIds } = this.#parts
    const nowMs = log.stamp()
    dedupIds.expire(nowMs)
    if (dedupIds.isFull)
      return new MqError('broker_busy', 'the broker remembers as many dedup ids as it may', {
        retryAfterMs: 1_000,
      })
    const sorted = sortOut(run, dedupIds, nowMs)
    const base = nextOffsets.next(counter)
    if (sorted.kept.length === 0)
      return { baseOffset: base, appendedAt: nowMs, end: sorted.end, deduplicated: sorted.dropped }
    const placement = this.#placement({ offset: base })
    const { appendedAt } = placement
    const ends = this.#appendKept(run, sorted, placement)
    nextOffsets.take(counter, sorted.kept.length)
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

  #placement(given: Partial<Placement> = {}): Placement {
    const { log, epoch } = this.#parts
    return {
      position: log.end,
      offset: offset(0),
      appendedAt: log.stamp(),
      marks: 0,
      leaderEpoch: epoch,
      syncedPosition: log.synced,
      ...given,
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

/** A delayed message becomes longer when it is due, by its source, and must still fit. */
const roomToGrow = 2 + sourceBytes
