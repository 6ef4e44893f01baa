import { type AckLevel, MqError, type RunResult } from '@popmq/protocol'
import type { Run } from './run.ts'

export interface TopicPartition {
  readonly topic: string
  readonly partition: number
}

/** Unknown, since nobody answered: acks none. */
const unplaced = -1

/**
 * Tells the records of an acknowledged run where they lie: at `baseOffset` and on, those whose dedup ids were seen left
 * out. A result that does not say where is a defect of the broker: its records end unknown.
 */
export function placeRun(run: Run, at: TopicPartition, result: RunResult): void {
  const { baseOffset, deduplicated = [] } = result
  if (
    (baseOffset === undefined || result.appendedAt === undefined) &&
    deduplicated.length < run.count
  ) {
    run.failed(
      new MqError('outcome_unknown', 'the broker acknowledged messages without their offsets'),
    )
    return
  }
  const level: AckLevel = result.level ?? 'received'
  const place = { ...at, appendedAt: result.appendedAt ?? unplaced, level, isDuplicate: false }
  let offset = baseOffset ?? 0
  let duplicates = 0
  const sorted = deduplicated.toSorted((a, b) => a.index - b.index)
  run.acked((owner, slot, index) => {
    const first = sorted[duplicates]
    if (first?.index === index) {
      const { partition, appendedAt } = first
      duplicates += 1
      owner.acked(slot, { ...place, partition, appendedAt, isDuplicate: true }, first.offset)
    } else {
      owner.acked(slot, place, offset)
      offset += 1
    }
  })
}

/** As `placeRun`, for a run that was told and is not answered. */
export function placeUnanswered(run: Run, at: TopicPartition): void {
  const place = { ...at, appendedAt: unplaced, level: 'none' as const, isDuplicate: false }
  run.acked((owner, slot) => owner.acked(slot, place, unplaced))
}
