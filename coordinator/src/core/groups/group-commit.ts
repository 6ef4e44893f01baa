import {
  type commit,
  errorNumber,
  type ErrorName,
  MqError,
  offset as offsetOf,
  type ReplyOf,
  type RequestOf,
} from '@popmq/protocol'
import type { Group } from './group.ts'
import type { Groups } from './groups.ts'
import type { Member } from './members.ts'
import type { Progress } from './progress.ts'

type Asked = RequestOf<typeof commit>['partitions'][number]
type Refused = ReplyOf<typeof commit>['refused'][number]

/**
 * Takes progress from whoever holds the partitions, and resolves when it is durable. What has been taken from the member
 * while it was written is refused: whether it counts is for the next member to see.
 * @throws MqError `member_unknown`, `invalid_request`, and those of a registry write
 */
export async function commitProgress(
  groups: Groups,
  { groupId, memberId, partitions }: RequestOf<typeof commit>,
): Promise<readonly Refused[]> {
  const { group, member } = groups.memberOf(groupId, memberId)
  if (member.mode === 'broadcast' && member.name === undefined)
    throw new MqError(
      'invalid_request',
      'a member without a static name keeps its progress in broadcast itself',
    )
  const refused: Refused[] = []
  const accepted: Asked[] = []
  const toWrite = new Set<Progress>()
  for (const asked of partitions) {
    const refusal = refusalOf(group, member, asked)
    if (refusal !== undefined) {
      refused.push(refusal)
      continue
    }
    accepted.push(asked)
    const progress = accept(group, member, asked)
    if (progress !== undefined) toWrite.add(progress)
  }
  if (toWrite.size === 0) return refused
  await groups.flush.write(toWrite)
  for (const asked of accepted) {
    if (!isHeld(group, member, asked)) refused.push(fenced(group, member, asked))
  }
  return refused
}

function refusalOf(group: Group, member: Member, asked: Asked): Refused | undefined {
  const reading = group.readingOf(member, asked.topicId)
  if (reading === undefined)
    return refusal(asked, 'topic_not_found', { what: `the group reads no topic ${asked.topicId}` })
  if (!isHeld(group, member, asked)) return fenced(group, member, asked)
  const at = reading.progress.at(asked.partition)
  if (asked.offset >= at) return undefined
  const what = `offset ${asked.offset} of partition ${asked.partition} is below ${at}, which is committed`
  return refusal(asked, 'offset_below_progress', { what, offset: at })
}

/** @returns what is to be written; undefined when this offset is durable already */
function accept(group: Group, member: Member, asked: Asked): Progress | undefined {
  const progress = group.readingOf(member, asked.topicId)?.progress
  const { partition, offset, epoch } = asked
  if (progress === undefined || progress.durableAt(partition) === offset) return undefined
  if (progress.at(partition) !== offset) progress.accept(partition, { offset, epoch })
  return progress
}

function isHeld(group: Group, member: Member, { topicId, partition, epoch }: Asked): boolean {
  const row = group.rowFor(member, topicId, partition)
  return row?.owner === member && row.epoch === epoch
}

function fenced(group: Group, member: Member, asked: Asked): Refused {
  const { topicId, partition, epoch } = asked
  const progress = group.readingOf(member, topicId)?.progress
  const what = `partition ${partition} of topic ${topicId} is not held under epoch ${epoch} by this member`
  const at = progress?.durableAt(partition)
  return refusal(asked, 'grant_fenced', { what, ...(at === undefined ? {} : { offset: at }) })
}

function refusal(
  { topicId, partition }: Asked,
  name: ErrorName,
  { what, offset }: { readonly what: string; readonly offset?: number },
): Refused {
  const at = offset === undefined ? {} : { offset: offsetOf(offset) }
  return { topicId, partition, error: errorNumber(name), what, ...at }
}
