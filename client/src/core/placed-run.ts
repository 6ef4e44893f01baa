import { type AckLevel, MqError, type RunResult } from '@popmq/protocol'
import type { PlacedRecord, Run } from './run.ts'

/** Unknown, since nobody answered: acks none. */
const unplaced = -1

/**
 * Tells the records of an acknowledged run where they lie: at `baseOffset` and on, those whose dedup ids were seen left
 * out. A result that does not say where is a defect of the broker; its run is unknown.
 */
export function placeRun(run: Run, partition: number, result: RunResult): void {
  const duplicates = new Map(result.deduplicated?.map((each) => [each.index, each]))
  const { baseOffset, appendedAt } = result
  if ((baseOffset === undefined || appendedAt === undefined) && duplicates.size < run.count) {
    run.failed(new MqError('outcome_unknown', 'the broker acknowledged messages without their offsets'))
    return
  }
  const level: AckLevel = result.level ?? 'received'
  let next = baseOffset ?? 0
  run.acked((index): PlacedRecord => {
    const first = duplicates.get(index)
    if (first !== undefined) {
      const { offset, appendedAt: firstAt } = first
      return { partition, offset, appendedAt: firstAt, level, isDuplicate: true }
    }
    next += 1
    return { partition, offset: next - 1, appendedAt: appendedAt ?? unplaced, level, isDuplicate: false }
  })
}

/** As `placeRun`, for a run that was told and is not answered. */
export function placeUnanswered(run: Run, partition: number): void {
  const placed: PlacedRecord = {
    partition,
    offset: unplaced,
    appendedAt: unplaced,
    level: 'none',
    isDuplicate: false,
  }
  run.acked(() => placed)
}
