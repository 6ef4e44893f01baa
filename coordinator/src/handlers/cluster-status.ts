import type { clusterStatus, ReplyOf } from '@popmq/protocol'
import { epoch } from '@popmq/protocol'
import type { Answer } from '@popmq/transport'
import type { Cluster } from '../core/cluster.ts'
import type { CoordinatorList } from '../core/coordinator-list.ts'

export interface ClusterStatusParts {
  readonly cluster: Cluster
  readonly coordinators: Pick<CoordinatorList, 'all'>
  /** Where others reach this coordinator: host:port. */
  readonly address: string
}

/** From memory: no request of a client reaches the registry by itself. */
export function handleClusterStatus({
  cluster,
  coordinators,
  address,
}: ClusterStatusParts): Answer<ReplyOf<typeof clusterStatus>> {
  cluster.checkLeads()
  const { topics, partitions, groups } = cluster.counts
  const brokers = cluster.brokers.list(cluster.nowMs).map(({ record, state }) => ({
    id: record.id,
    epoch: epoch(record.epoch),
    address: record.address,
    setId: record.setId,
    state,
  }))
  return {
    reply: {
      clusterId: cluster.clusterId,
      leader: address,
      leaderEpoch: cluster.leadership.epoch,
      coordinators: coordinators.all.map(({ id, address: at }) => ({ id, address: at })),
      brokers,
      topics,
      partitions,
      groups,
    },
  }
}
