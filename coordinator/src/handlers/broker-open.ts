import { type brokerOpen, epoch, MqError, type ReplyOf, type RequestOf } from '@popmq/protocol'
import type { Answer, RequestContext } from '@popmq/transport'
import type { Cluster } from '../core/cluster.ts'
import type { Change } from '../core/leadership.ts'
import { type BrokerRecord, type Counters, encodeValue, paths } from '../core/registry-values.ts'

/**
 * A broker starts: it gets a new epoch, on its first time a replica set too, and a session.
 * @throws MqError `foreign_cluster`, `registry_behind`, `data_missing`, `broker_id_in_use`, and those of a registry write
 */
export async function handleBrokerOpen(
  request: RequestOf<typeof brokerOpen>,
  context: Pick<RequestContext, 'connection' | 'isClosed'>,
  cluster: Cluster,
): Promise<Answer<ReplyOf<typeof brokerOpen>>> {
  cluster.checkLeads()
  const connection = context.connection.id
  const { record } = await cluster.leadership.write(
    () => prepareOpen(request, cluster),
    ({ record: written }) => cluster.brokers.opened(written, { nowMs: cluster.nowMs, connection }),
  )
  // It may have closed while the registry wrote; nothing else would tell.
  if (context.isClosed) cluster.connectionClosed(connection)
  cluster.sessionsChanged()
  cluster.observe({ kind: 'broker_opened', broker: record })
  const { clusterId, sessionMs } = cluster
  return { reply: { clusterId, setId: record.setId, epoch: epoch(record.epoch), sessionMs } }
}

function prepareOpen(
  request: RequestOf<typeof brokerOpen>,
  {
    leadership,
    brokers,
    topics,
    nowMs,
  }: Pick<Cluster, 'leadership' | 'brokers' | 'topics' | 'nowMs'>,
): Change & { readonly record: BrokerRecord } {
  const { brokerId: id, incarnation, address, highestEpoch } = request
  const { counters, clusterId } = leadership
  refuseOtherData(request, { counters, clusterId })
  brokers.checkOpen({ id, incarnation, highestEpoch }, nowMs)
  const known = brokers.record(id)
  if (known !== undefined) refuseLostData(request, topics.ofSet(known.setId).length)
  const setId = known?.setId ?? counters.setId + 1
  const record = { id, setId, epoch: counters.epoch + 1, incarnation, address }
  const node = { path: paths.broker(id), value: encodeValue(record) }
  return {
    record,
    ops: [{ kind: known === undefined ? 'create' : 'set', ...node }],
    counters: { epoch: record.epoch, setId: Math.max(setId, counters.setId) },
  }
}

/** Data of another cluster, or written under a registry that knew more than this one. */
function refuseOtherData(
  { clusterId: ofData, highestTopicId, highestEpoch }: RequestOf<typeof brokerOpen>,
  { counters, clusterId }: { counters: Counters; clusterId: string },
): void {
  if (ofData !== undefined && ofData !== clusterId) {
    throw new MqError(
      'foreign_cluster',
      `the broker's data belongs to cluster ${ofData}, this is ${clusterId}`,
    )
  }
  const behind = (what: string, seen: number, given: number): MqError =>
    new MqError(
      'registry_behind',
      `the broker has seen ${what} ${seen}, the registry has given ${given}`,
      {
        facts: { seen, given },
      },
    )
  if (highestTopicId > counters.topicId) throw behind('topic id', highestTopicId, counters.topicId)
  if (highestEpoch > counters.epoch) throw behind('epoch', highestEpoch, counters.epoch)
}

/** A broker that had messages comes back with an empty directory: to let it in would lose them without a word. */
function refuseLostData(
  { brokerId, clusterId }: RequestOf<typeof brokerOpen>,
  topics: number,
): void {
  if (clusterId !== undefined || topics === 0) return
  throw new MqError(
    'data_missing',
    `broker ${brokerId} leads partitions of ${topics} topics and its data directory is empty`,
    { facts: { brokerId, topics } },
  )
}
