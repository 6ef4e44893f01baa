import { type LogPosition, logPosition, RecordView, type TimeMs } from '@popmq/protocol'
import type { IncomingRun } from './incoming-run.ts'
import { type DedupIds, dedupIdOf, type DroppedRecord } from './sequencers/index.ts'

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
