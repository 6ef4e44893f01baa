import {
  type groupDescribe,
  type GroupSummary,
  type HeldGrant,
  type MemberInfo,
  offset,
  type ReplyOf,
} from '@popmq/protocol'
import { epochOf, type GrantRow } from './grant-row.ts'
import type { Group } from './group.ts'
import type { TopicReading } from './group-values.ts'
import type { Member } from './members.ts'

/** A group for people: what it reads, and whether anything is on its way. */
export function summaryOf(group: Group): GroupSummary {
  const { name, id, topics } = group.record
  const members = group.members.size
  const state = members === 0 ? 'empty' : group.isRebalancing ? 'rebalancing' : 'stable'
  return { name, groupId: id, state, members, topics: topics.map(shownTopic) }
}

/** How the group reads a topic, without what only brokers need. */
export function shownTopic({
  name,
  topicId,
  mode,
  tags,
  isPaused,
}: TopicReading): GroupSummary['topics'][number] {
  return { name, topicId, mode, ...(tags === undefined ? {} : { tags }), isPaused }
}

/** All of a group: who holds what, and how far it has come. */
export function describeGroup(group: Group): ReplyOf<typeof groupDescribe> {
  const names = new Map(group.record.topics.map(({ topicId, name }) => [topicId, name]))
  const kept = [...group.readings.values()].filter(
    ({ isKept, progress }) => isKept && progress.isStarted,
  )
  return {
    group: summaryOf(group),
    policy: group.policy,
    members: group.members.byAge().map((member) => ({
      ...memberInfo(member),
      topics: [...member.topics].flatMap((topicId) => names.get(topicId) ?? []),
    })),
    progress: kept.map(({ name, rows, progress }) => ({
      ...name,
      offsets: rows.map(({ partition }) => offset(progress.durableAt(partition))),
    })),
  }
}

function memberInfo(member: Member): Omit<MemberInfo, 'topics'> {
  const { id, name, client, remote, state, joinedAt, rows } = member
  const of = (wanted: GrantRow['state']): HeldGrant[] =>
    [...rows].filter((row) => row.state === wanted).map(heldGrant)
  return {
    memberId: id,
    ...(name === undefined ? {} : { member: name }),
    ...(client === undefined ? {} : { client }),
    remote,
    state: state === 'ended' ? 'detached' : state,
    joinedAt,
    grants: of('held'),
    revoking: of('revoking'),
  }
}

function heldGrant(row: GrantRow): HeldGrant {
  return { topicId: row.reading.topicId, partition: row.partition, epoch: epochOf(row) }
}
