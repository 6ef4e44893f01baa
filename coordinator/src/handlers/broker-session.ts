import { present } from '@popmq/kit'
import { type brokerSession, MqError, type ReplyOf, type RequestOf } from '@popmq/protocol'
import type { Answer, RequestContext } from '@popmq/transport'
import type { Cluster } from '../core/cluster.ts'
import { servedGroup } from '../core/groups/served-groups.ts'

/**
 * Renews a broker's session. Until there is a newer version of what brokers are told than the broker has applied, or a
 * group that it is to report on, the answer is held for `waitMs`, but no longer than a third of the session, so that the
 * broker is heard often enough. With `leaving` it ends the session instead.
 * @throws MqError `broker_fenced`, `registry_behind`, `not_coordinator`, `shutting_down`
 */
export async function handleBrokerSession(
  request: RequestOf<typeof brokerSession>,
  context: Pick<RequestContext, 'connection' | 'onClosed' | 'isClosed'>,
  cluster: Cluster,
): Promise<Answer<ReplyOf<typeof brokerSession>>> {
  const { brokerId: id, epoch, appliedVersion, waitMs } = request
  const { brokers, waiters, reports } = cluster
  cluster.checkLeads()
  if (request.leaving === true) return leave(request, cluster)
  brokers.checkEpoch(id, epoch)
  if (appliedVersion > cluster.version) throw behind(request, cluster)
  const contact = { nowMs: cluster.nowMs, connection: context.connection.id }
  brokers.renew({ id, epoch, appliedVersion }, contact)
  cluster.sessionsChanged()
  const isNews = (): boolean =>
    cluster.version !== appliedVersion ||
    brokers.record(id)?.epoch !== epoch ||
    reports.isWanted(id)
  await waiters.until(isNews, {
    withinMs: Math.min(waitMs, cluster.sessionMs / 3),
    onGone: (end) => context.onClosed(end),
  })
  cluster.checkLeads()
  brokers.checkEpoch(id, epoch)
  const news = newsFor(request, cluster)
  // Over a connection that has closed a ticket would be lost.
  const wanted = context.isClosed ? [] : reports.handOut(id)
  return { reply: wanted.length === 0 ? news : { ...news, wanted } }
}

/** Each list whole, where something in it has changed since the version that the broker has applied. */
function newsFor(
  { brokerId, appliedVersion }: RequestOf<typeof brokerSession>,
  { brokers, topics, groups, handleKeys, version }: Cluster,
): ReplyOf<typeof brokerSession> {
  const { setId } = present(brokers.record(brokerId), 'a broker whose epoch was checked is known')
  return {
    version,
    ...(topics.changedSince(setId, appliedVersion) ? { topics: topics.ofSet(setId) } : {}),
    ...(groups.served.changedSince(appliedVersion)
      ? { groups: groups.list().map(servedGroup) }
      : {}),
    ...(handleKeys.changedSince(appliedVersion) ? { handleKeys: handleKeys.list() } : {}),
  }
}

/** To a registry that was put back the topics made since are unknown: the broker would drop them, messages and all. */
function behind(
  { brokerId, appliedVersion }: RequestOf<typeof brokerSession>,
  { version }: Pick<Cluster, 'version'>,
): MqError {
  const what = `broker ${brokerId} has applied version ${appliedVersion} of the topics, the registry knows ${version}`
  return new MqError('registry_behind', what, { facts: { seen: appliedVersion, given: version } })
}

function leave(
  { brokerId: id, epoch }: RequestOf<typeof brokerSession>,
  cluster: Cluster,
): Answer<ReplyOf<typeof brokerSession>> {
  cluster.brokers.checkEpoch(id, epoch)
  cluster.brokers.leave(id)
  cluster.sessionsChanged()
  const broker = present(cluster.brokers.record(id), 'a broker whose epoch was checked is known')
  cluster.observe({ kind: 'broker_left', broker })
  return { reply: { version: cluster.version } }
}
