import {
  type Grant,
  type groupRelease,
  type groupSession,
  type HeldGrant,
  offset,
  type ReplyOf,
  type RequestOf,
} from '@popmq/protocol'
import { epochOf, type GrantRow, hearRow, tellRow } from './grant-row.ts'
import type { Group } from './group.ts'
import type { Groups } from './groups.ts'
import type { Member } from './members.ts'

export type Assignment = NonNullable<ReplyOf<typeof groupSession>['assignment']>

/** A member is heard, and says which version of its assignment it has. @throws MqError `member_unknown` */
export function hearMember(
  groups: Groups,
  {
    groupId,
    memberId,
    version,
  }: Pick<RequestOf<typeof groupSession>, 'groupId' | 'memberId' | 'version'>,
  { connection, remote }: { readonly connection: number; readonly remote: string },
): { readonly group: Group; readonly member: Member } {
  const { group, member } = groups.memberOf(groupId, memberId)
  const { nowMs } = groups
  // It has an assignment of the leader before: it is told what this one knows, whatever its version.
  if (member.state === 'recovering') member.version = Math.max(member.version, version + 1)
  member.state = 'live'
  member.endsMs = nowMs + group.policy.sessionMs
  member.remote = remote
  groups.contact(member, connection)
  groups.arm(group, member.endsMs)
  for (const row of member.rows) {
    if (row.toldMs === undefined) continue
    hearRow(row, version)
    groups.arm(group, row.drainEndsMs ?? nowMs)
  }
  for (const { move, sinceMs } of member.unheard.filter((each) => each.version <= version))
    move.darkMs = Math.max(0, Math.round(nowMs - sinceMs))
  member.unheard = member.unheard.filter((each) => each.version > version)
  return { group, member }
}

/** All that a member has and is to give back; from now on the time for that runs. */
export function tellAssignment(groups: Groups, group: Group, member: Member): Assignment {
  const { nowMs } = groups
  const grants: Grant[] = []
  const revoking: HeldGrant[] = []
  for (const row of [...member.rows].toSorted(inOrder)) {
    const held = { topicId: row.reading.topicId, partition: row.partition, epoch: epochOf(row) }
    if (row.state === 'held') {
      grants.push({ ...held, offset: offset(row.reading.progress.at(row.partition)) })
      continue
    }
    tellRow(row, nowMs, group.policy.sessionMs)
    groups.arm(group, row.drainEndsMs ?? nowMs)
    revoking.push(held)
  }
  const paused = group.record.topics.filter(
    ({ topicId, isPaused }) => isPaused && member.topics.has(topicId),
  )
  return { grants, revoking, paused: paused.map(({ topicId }) => topicId) }
}

function inOrder(a: GrantRow, b: GrantRow): number {
  return a.reading.topicId - b.reading.topicId || a.partition - b.partition
}

/** Partitions come back. What the member does not hold, or not under this epoch, is passed over. */
export function releaseGrants(
  groups: Groups,
  { groupId, memberId, released }: RequestOf<typeof groupRelease>,
): void {
  const { group, member } = groups.memberOf(groupId, memberId)
  let isChanged = false
  for (const { topicId, partition, epoch } of released) {
    const row = group.rowFor(member, topicId, partition)
    if (row?.owner !== member || row.epoch !== epoch || row.state !== 'revoking') continue
    group.free(row, groups.nowMs)
    isChanged = true
  }
  if (isChanged) groups.work(group)
}

/** A clean stop. One that is not known has stopped already. */
export function leaveGroup(
  groups: Groups,
  { groupId, memberId }: { readonly groupId: Group['id']; readonly memberId: string },
): void {
  const group = groups.byId(groupId)
  const member = group?.members.get(memberId)
  if (group === undefined || member === undefined) return
  group.end(member, 'member_left', groups.nowMs)
  groups.gone(member)
  groups.work(group)
}
