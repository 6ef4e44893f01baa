import type { producerOpen, ReplyOf } from '@popmq/protocol'
import type { Answer } from '@popmq/transport'
import type { Cluster } from '../core/cluster.ts'

/** @throws MqError those of a registry write */
export async function handleProducerOpen(
  cluster: Pick<Cluster, 'checkLeads' | 'producerIds'>,
): Promise<Answer<ReplyOf<typeof producerOpen>>> {
  cluster.checkLeads()
  return { reply: { producerId: await cluster.producerIds.next() } }
}
