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
  const runAppendedAt = result.appendedAt ?? unplaced
  const placed = { ...at, offset: 0, appendedAt: runAppendedAt, level, isDuplicate: false }
  let nextOffset = baseOffset ?? 0
  let nextDuplicate = 0
  const sorted = deduplicated.toSorted((a, b) => a.index - b.index)
  run.acked((index) => {
    const first = sorted[nextDuplicate]
    placed.isDuplicate = first?.index === index
    placed.partition = at.partition
    if (first !== undefined && placed.isDuplicate) {
      nextDuplicate += 1
      placed.partition = first.partition
      placed.offset = first.offset
      placed.appendedAt = first.appendedAt
    } else {
      placed.offset = nextOffset
      placed.appendedAt = runAppendedAt
      nextOffset += 1
    }
    return placed
  })
}

/** As `placeRun`, for a run that was told and is not answered. */
export function placeUnanswered(run: Run, at: TopicPartition): void {
  const nowhere = { offset: unplaced, appendedAt: unplaced, isDuplicate: false }
  const placed = { ...at, ...nowhere, level: 'none' as const }
  run.acked(() => placed)
}
