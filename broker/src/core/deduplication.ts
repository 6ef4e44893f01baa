import {
  type LogPosition,
  logPosition,
  offset,
  type Offset,
  RecordView,
  type TimeMs,
} from '@popmq/protocol'
import type { IncomingRun } from './incoming-run.ts'
import {
  type DedupIds,
  dedupIdOf,
  type DroppedRecord,
  type FirstReceipt,
} from './sequencers/index.ts'

/** A record of a run that is to be appended. */
export interface KeptRecord {
  readonly start: number
  readonly length: number
  readonly dedupId: Uint8Array | undefined
}

/** A run with the records whose dedup id was seen within the window taken out. */
export interface SortedRun {
  readonly kept: readonly KeptRecord[]
  readonly keptBytes: number
  /** Those whose first one lies in the log. */
  readonly dropped: readonly DroppedRecord[]
  /** Those whose first one is among `kept`: [index in the run, index in kept]. */
  readonly repeated: readonly (readonly [number, number])[]
  /** The run is as durable as its records when the log has them, and the first ones, up to here. */
  readonly end: LogPosition
}

/** Looks up each record of a verified run. */
export function sortOut(
  run: IncomingRun,
  dedupIds: Pick<DedupIds, 'find'>,
  nowMs: TimeMs,
): SortedRun {
  const record = new RecordView()
  const kept: KeptRecord[] = []
  const dropped: DroppedRecord[] = []
  const repeated: [number, number][] = []
  const keptIds = new Map<string, number>()
  let keptBytes = 0
  let end = 0
  let index = 0
  for (let start = 0; start < run.bytes.length; start = record.end) {
    record.move(run.bytes, start)
    const dedupId = dedupIdOf(record)
    const first = dedupId === undefined ? undefined : dedupIds.find(run.topicId, dedupId, nowMs)
    const twin = dedupId === undefined ? undefined : keptIds.get(String(dedupId))
    if (first !== undefined) {
      const { partition, offset, appendedAt } = first
      dropped.push({ index, partition, offset, appendedAt })
      end = Math.max(end, first.end)
    } else if (twin !== undefined) {
      repeated.push([index, twin])
    } else {
      if (dedupId !== undefined) keptIds.set(String(dedupId), kept.length)
      kept.push({ start, length: record.length, dedupId })
      keptBytes += record.length
    }
    index += 1
  }
  return { kept, keptBytes, dropped, repeated, end: logPosition(end) }
}

/** A run that lies in the log, some of its records left out. */
export interface HeldRun {
  readonly baseOffset: Offset
  readonly appendedAt: TimeMs
  readonly end: LogPosition
  /** How many of its records were appended. */
  readonly appended: number
}

/**
 * Finds again which records of a run were left out when it was appended: those whose id stands earlier in the run, and
 * those whose id has a receipt from before the run. Either was left out for certain; so when there are as many as are
 * missing, there are no others.
 * @returns undefined when there are fewer: the window of an id has passed, and which one cannot be said any more
 */
export function findLeftOut(
  run: IncomingRun,
  held: HeldRun,
  find: (dedupId: Uint8Array) => FirstReceipt | undefined,
): readonly DroppedRecord[] | undefined {
  const record = new RecordView()
  const dropped: DroppedRecord[] = []
  const firstPlaces = new Map<string, Omit<DroppedRecord, 'index'>>()
  let kept = 0
  let index = 0
  for (let start = 0; start < run.bytes.length; start = record.end) {
    record.move(run.bytes, start)
    const dedupId = dedupIdOf(record)
    const id = String(dedupId)
    const first = dedupId === undefined ? undefined : find(dedupId)
    const isOlder = first !== undefined && first.end < held.end && !isOf(run, held, first)
    const place = firstPlaces.get(id) ?? (isOlder ? first : undefined)
    if (dedupId !== undefined && place !== undefined) {
      const { partition, offset: at, appendedAt } = place
      dropped.push({ index, partition, offset: at, appendedAt })
    }
    if (dedupId !== undefined && !firstPlaces.has(id)) {
      const own = {
        partition: run.partition,
        offset: offset(held.baseOffset + kept),
        appendedAt: held.appendedAt,
      }
      firstPlaces.set(id, place ?? own)
    }
    if (place === undefined || dedupId === undefined) kept += 1
    index += 1
  }
  return dropped.length === run.count - held.appended ? dropped : undefined
}

function isOf(run: IncomingRun, { baseOffset, appended }: HeldRun, first: FirstReceipt): boolean {
  const { partition, offset: at } = first
  return partition === run.partition && at >= baseOffset && at < baseOffset + appended
}
