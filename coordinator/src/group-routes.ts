import {
  commit,
  groupDelete,
  groupDescribe,
  groupJoin,
  groupLeave,
  groupLag,
  groupList,
  groupOpen,
  groupPause,
  groupRebalances,
  groupRelease,
  groupReset,
  groupSession,
  groupSet,
  groupStart,
} from '@popmq/protocol'
import { type Route, route } from '@popmq/transport'
import type { Cluster } from './core/cluster.ts'
import {
  handleGroupDelete,
  handleGroupDescribe,
  handleGroupList,
  handleGroupPause,
  handleGroupRebalances,
  handleGroupReset,
  handleGroupSet,
} from './handlers/group-admin.ts'
import { handleGroupLag } from './handlers/group-lag.ts'
import {
  handleCommit,
  handleGroupJoin,
  handleGroupLeave,
  handleGroupOpen,
  handleGroupRelease,
  handleGroupSession,
  handleGroupStart,
} from './handlers/group-members.ts'

/** What the coordinator answers about groups. */
export function groupRoutes(cluster: Cluster): Route[] {
  return [
    route(groupJoin, (request, context) => handleGroupJoin(request, context, cluster)),
    route(groupOpen, (request) => handleGroupOpen(request, cluster)),
    route(groupStart, (request) => handleGroupStart(request, cluster)),
    route(groupSession, (request, context) => handleGroupSession(request, context, cluster)),
    route(groupRelease, (request) => handleGroupRelease(request, cluster)),
    route(groupLeave, (request) => handleGroupLeave(request, cluster)),
    route(commit, (request) => handleCommit(request, cluster)),
    route(groupList, () => handleGroupList(cluster)),
    route(groupDescribe, (request) => handleGroupDescribe(request, cluster)),
    route(groupLag, (request) => handleGroupLag(request, cluster)),
    route(groupSet, (request) => handleGroupSet(request, cluster)),
    route(groupReset, (request, context) => handleGroupReset(request, context, cluster)),
    route(groupPause, (request) => handleGroupPause(request, cluster)),
    route(groupDelete, (request) => handleGroupDelete(request, cluster)),
    route(groupRebalances, (request) => handleGroupRebalances(request, cluster)),
  ]
}
