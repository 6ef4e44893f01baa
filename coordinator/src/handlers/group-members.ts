import type {
  commit,
  groupJoin,
  groupLeave,
  groupOpen,
  groupRelease,
  groupSession,
  groupStart,
  ReplyOf,
  RequestOf,
} from '@popmq/protocol'
import type { Answer, RequestContext } from '@popmq/transport'
import type { Cluster } from '../core/cluster.ts'
import { commitProgress } from '../core/groups/group-commit.ts'
import { joinGroup } from '../core/groups/group-join.ts'
import { openGroup } from '../core/groups/group-open.ts'
import {
  hearMember,
  leaveGroup,
  releaseGrants,
  tellAssignment,
} from '../core/groups/group-session.ts'
import { startReading } from '../core/groups/group-start.ts'

/**
 * What members of groups ask, and those who pop. Each throws besides its own errors `not_coordinator`, `shutting_down`, and
 * `registry_unavailable` when something may have been written.
 */
type GroupCluster = Pick<Cluster, 'checkLeads' | 'groups'>

/** @throws MqError as `joinGroup` */
export async function handleGroupJoin(
  request: RequestOf<typeof groupJoin>,
  context: Pick<RequestContext, 'connection' | 'isClosed'>,
  cluster: GroupCluster,
): Promise<Answer<ReplyOf<typeof groupJoin>>> {
  cluster.checkLeads()
  const { id: connection, remote } = context.connection
  const reply = await joinGroup(cluster.groups, request, { connection, remote })
  // It may have closed while the registry wrote; nothing else would tell.
  if (context.isClosed) cluster.groups.connectionClosed(connection)
  return { reply }
}

/** @throws MqError as `openGroup` */
export async function handleGroupOpen(
  request: RequestOf<typeof groupOpen>,
  cluster: GroupCluster,
): Promise<Answer<ReplyOf<typeof groupOpen>>> {
  cluster.checkLeads()
  return { reply: await openGroup(cluster.groups, request) }
}

/** @throws MqError as `startReading` */
export async function handleGroupStart(
  request: RequestOf<typeof groupStart>,
  cluster: GroupCluster,
): Promise<Answer<ReplyOf<typeof groupStart>>> {
  cluster.checkLeads()
  await startReading(cluster.groups, request)
  return { reply: {} }
}

/** Holds the answer until the member's assignment is another than it has. @throws MqError `member_unknown` */
export async function handleGroupSession(
  request: RequestOf<typeof groupSession>,
  context: Pick<RequestContext, 'connection' | 'onClosed'>,
  cluster: GroupCluster,
): Promise<Answer<ReplyOf<typeof groupSession>>> {
  cluster.checkLeads()
  const { groups } = cluster
  const { version, waitMs } = request
  const { id: connection, remote } = context.connection
  const { group, member } = hearMember(groups, request, { connection, remote })
  await member.waiters.until(() => member.version !== version || member.state === 'ended', {
    withinMs: Math.min(waitMs, group.policy.sessionMs / 3),
    onGone: (end) => context.onClosed(end),
  })
  cluster.checkLeads()
  groups.memberOf(request.groupId, request.memberId)
  if (member.version === version) return { reply: { version } }
  return {
    reply: { version: member.version, assignment: tellAssignment(groups, group, member) },
  }
}

/** @throws MqError `member_unknown` */
export function handleGroupRelease(
  request: RequestOf<typeof groupRelease>,
  cluster: GroupCluster,
): Answer<ReplyOf<typeof groupRelease>> {
  cluster.checkLeads()
  releaseGrants(cluster.groups, request)
  return { reply: {} }
}

export function handleGroupLeave(
  request: RequestOf<typeof groupLeave>,
  cluster: GroupCluster,
): Answer<ReplyOf<typeof groupLeave>> {
  cluster.checkLeads()
  leaveGroup(cluster.groups, request)
  return { reply: {} }
}

/** Answered when what was accepted is durable, and this coordinator leads still. @throws MqError as `commitProgress` */
export async function handleCommit(
  request: RequestOf<typeof commit>,
  cluster: GroupCluster,
): Promise<Answer<ReplyOf<typeof commit>>> {
  cluster.checkLeads()
  const refused = await commitProgress(cluster.groups, request)
  cluster.checkLeads()
  return { reply: { refused } }
}
