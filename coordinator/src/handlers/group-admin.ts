import type {
  groupDelete,
  groupDescribe,
  groupList,
  groupPause,
  groupRebalances,
  groupReset,
  groupSet,
  ReplyOf,
  RequestOf,
} from '@popmq/protocol'
import type { Answer, RequestContext } from '@popmq/transport'
import type { Cluster } from '../core/cluster.ts'
import { deleteGroup, pauseGroup, setGroup } from '../core/groups/group-admin.ts'
import { describeGroup, shownTopic, summaryOf } from '../core/groups/group-reports.ts'
import { resetGroup } from '../core/groups/group-reset.ts'

/** What people ask of groups. Reports come from memory. Each throws besides its own errors those of `checkLeads`. */
type GroupCluster = Pick<Cluster, 'checkLeads' | 'groups'>

export function handleGroupList(cluster: GroupCluster): Answer<ReplyOf<typeof groupList>> {
  cluster.checkLeads()
  return { reply: { groups: cluster.groups.list().map(summaryOf) } }
}

/** @throws MqError `group_not_found` */
export function handleGroupDescribe(
  { group }: RequestOf<typeof groupDescribe>,
  cluster: GroupCluster,
): Answer<ReplyOf<typeof groupDescribe>> {
  cluster.checkLeads()
  return { reply: describeGroup(cluster.groups.named(group)) }
}

/** @throws MqError `group_not_found` */
export function handleGroupRebalances(
  { group, limit }: RequestOf<typeof groupRebalances>,
  cluster: GroupCluster,
): Answer<ReplyOf<typeof groupRebalances>> {
  cluster.checkLeads()
  return { reply: { rebalances: cluster.groups.named(group).rebalances.latest(limit) } }
}

/** @throws MqError as `setGroup` */
export async function handleGroupSet(
  request: RequestOf<typeof groupSet>,
  cluster: GroupCluster,
): Promise<Answer<ReplyOf<typeof groupSet>>> {
  cluster.checkLeads()
  return { reply: { policy: await setGroup(cluster.groups, request) } }
}

/** Who asked is told with what was done: in the log, and in the list of rebalances. @throws MqError as `resetGroup` */
export async function handleGroupReset(
  request: RequestOf<typeof groupReset>,
  { connection }: Pick<RequestContext, 'connection'>,
  cluster: GroupCluster & Pick<Cluster, 'observe'>,
): Promise<Answer<ReplyOf<typeof groupReset>>> {
  cluster.checkLeads()
  const operator = request.operator ?? `anonymous@${connection.remote}`
  const moves = await resetGroup(cluster.groups, { ...request, operator })
  if (request.dryRun !== true) {
    const { group, topicId } = request
    cluster.observe({ kind: 'group_reset', group, topicId, operator, moves })
  }
  return { reply: { moves } }
}

/** @throws MqError as `pauseGroup` */
export async function handleGroupPause(
  request: RequestOf<typeof groupPause>,
  cluster: GroupCluster,
): Promise<Answer<ReplyOf<typeof groupPause>>> {
  cluster.checkLeads()
  const topics = await pauseGroup(cluster.groups, request)
  return { reply: { topics: topics.map(shownTopic) } }
}

/** @throws MqError as `deleteGroup` */
export async function handleGroupDelete(
  { group }: RequestOf<typeof groupDelete>,
  cluster: GroupCluster,
): Promise<Answer<ReplyOf<typeof groupDelete>>> {
  cluster.checkLeads()
  return { reply: { groupId: await deleteGroup(cluster.groups, group) } }
}
