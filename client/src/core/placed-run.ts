import { type AckLevel, MqError, type RunResult, type TopicInfo } from '@popmq/protocol'
import type { RecordPlace, Run } from './run.ts'

/** Unknown, since nobody answered: acks none. */
const unplaced = -1

/**
 * Tells the records of an acknowledged run where they lie: at `baseOffset` and on, those whose dedup ids were seen left
 * out. Of a run of delayed messages these are numbers of held records. A result that does not say where is a defect of the broker: its records end unknown.
 */
export function placeRun(run: Run, topic: TopicInfo, result: RunResult): void {
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
  const appended = { appendedAt: result.appendedAt ?? unplaced, level, isDuplicate: false }
  const place = { ...placeIn(topic, run.target.partition), ...appended }
  let offset = baseOffset ?? 0
  let duplicates = 0
  const sorted = deduplicated.toSorted((a, b) => a.index - b.index)
  run.acked((owner, slot, index) => {
    const first = sorted[duplicates]
    if (first?.index === index) {
      const { partition, appendedAt } = first
      duplicates += 1
      const where = { ...placeIn(topic, partition), level, appendedAt, isDuplicate: true }
      owner.acked(slot, where, first.offset)
    } else {
      owner.acked(slot, place, offset)
      offset += 1
    }
  })
}

/** As `placeRun`, for a run that was told and is not answered. */
export function placeUnanswered(run: Run, topic: TopicInfo): void {
  const appended = { appendedAt: unplaced, level: 'none' as const, isDuplicate: false }
  const place = { ...placeIn(topic, run.target.partition), ...appended }
  run.acked((owner, slot) => owner.acked(slot, place, unplaced))
}

function placeIn(
  { name, sets }: TopicInfo,
  partition: number,
): Pick<RecordPlace, 'topic' | 'partition' | 'set'> {
  return { topic: name, partition, set: sets[partition] ?? 0 }
}
