import type { metadata, ReplyOf, RequestOf } from '@popmq/protocol'
import type { Answer } from '@popmq/transport'
import type { Cluster } from '../core/cluster.ts'

/** Routes come from memory: no request of a client reaches the registry by itself. */
export function handleMetadata(
  { topics }: RequestOf<typeof metadata>,
  cluster: Pick<Cluster, 'checkLeads' | 'routes'>,
): Answer<ReplyOf<typeof metadata>> {
  cluster.checkLeads()
  return { reply: cluster.routes(topics) }
}
