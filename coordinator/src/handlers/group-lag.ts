import type { groupLag, groupReport, ReplyOf, RequestOf } from '@popmq/protocol'
import type { Answer } from '@popmq/transport'
import type { Cluster } from '../core/cluster.ts'
import { lagOf, lagPlaces } from '../core/groups/group-lag.ts'

/**
 * Asks the brokers that lead partitions of the group, and waits 5 s at most. From memory else: nothing is written.
 * @throws MqError `group_not_found`, `not_coordinator`, `shutting_down`
 */
export async function handleGroupLag(
  { group: name }: RequestOf<typeof groupLag>,
  cluster: Cluster,
): Promise<Answer<ReplyOf<typeof groupLag>>> {
  cluster.checkLeads()
  const { groups, brokers, reports } = cluster
  const group = groups.named(name)
  const sets = new Set(lagPlaces(groups, group).map(({ setId }) => setId))
  const live = brokers
    .list(cluster.nowMs)
    .filter(({ record, state }) => state === 'live' && sets.has(record.setId))
  const told = await reports.ask(
    group.id,
    live.map(({ record }) => record.id),
  )
  cluster.checkLeads()
  const bySet = live.flatMap(({ record }) => {
    const report = told.get(record.id)
    return report === undefined ? [] : ([[record.setId, report]] as const)
  })
  const lag = lagOf(group, lagPlaces(groups, group), new Map(bySet))
  return { reply: { at: groups.clock.now(), ...lag } }
}

/** A broker answers what it was asked about a group. @throws MqError `broker_fenced`, `registry_behind`, `not_coordinator` */
export function handleGroupReport(
  request: RequestOf<typeof groupReport>,
  cluster: Cluster,
): Answer<ReplyOf<typeof groupReport>> {
  cluster.checkLeads()
  cluster.brokers.checkEpoch(request.brokerId, request.epoch)
  cluster.reports.report(request.brokerId, request)
  return { reply: {} }
}
