import { type groupStart, MqError, type RequestOf } from '@popmq/protocol'
import type { Groups } from './groups.ts'
import { type Reading, readingKey } from './reading.ts'

/**
 * Writes where a group begins to read a topic, if nobody has. Its partitions are granted from then on.
 * @throws MqError `member_unknown`, `topic_not_found`, `invalid_request`, and those of a registry write
 */
export async function startReading(
  groups: Groups,
  { groupId, memberId, topicId, offsets }: RequestOf<typeof groupStart>,
): Promise<void> {
  const { group, member } = groups.memberOf(groupId, memberId)
  const reading = group.readingOf(member, topicId)
  if (reading === undefined || !member.topics.has(topicId))
    throw new MqError('topic_not_found', `the member reads no topic ${topicId}`)
  if (offsets.length > reading.rows.length) {
    const what = `topic ${topicId} has ${reading.rows.length} partitions, offsets name ${offsets.length}`
    throw new MqError('invalid_request', what)
  }
  if (reading.progress.isStarted) return
  const rows = offsets.map((offset) => ({ offset, epoch: 0 }))
  if (!reading.isKept) {
    for (const [partition, row] of rows.entries()) reading.progress.accept(partition, row)
    reading.progress.isStarted = true
  } else {
    const write = (): Promise<boolean> => writeStart(groups, reading, rows)
    if (!(await groups.flush.exclusively(reading.progress, write))) return
  }
  if (group.readings.get(readingKey(topicId, reading.reader)) !== reading) return
  group.planTime.changed('topic_started', groups.nowMs)
  groups.work(group)
}

/** @returns whether these offsets are the start */
async function writeStart(
  groups: Groups,
  { progress }: Reading,
  rows: readonly { readonly offset: number; readonly epoch: number }[],
): Promise<boolean> {
  if (progress.isStarted || progress.isGone) return false
  const snapshot = progress.snapshot(new Map(rows.entries()))
  const { path } = progress
  const outcome = await groups.leadership.guarded([{ kind: 'create', path, value: snapshot.value }])
  const isThere = outcome.kind === 'rejected' && outcome.reason === 'exists' && outcome.tried > 1
  // Nobody else makes this node: where it is there, an earlier try of this commit made it.
  if (outcome.kind === 'applied' || isThere) {
    progress.stored(snapshot)
    return true
  }
  const what = `the registry changed under its leader: create ${path} met ${outcome.reason}`
  throw groups.leadership.depose(new MqError('internal', what))
}
