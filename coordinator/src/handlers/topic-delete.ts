import type { ReplyOf, RequestOf, topicDelete } from '@popmq/protocol'
import type { Answer } from '@popmq/transport'
import type { Cluster } from '../core/cluster.ts'

/**
 * Removes a topic and answers when no broker with a session takes or gives its messages any longer.
 * @throws MqError `topic_not_found`, `topic_busy`; `timed_out` when it is gone but not everywhere,
 * `registry_unavailable` when it may be gone
 */
export async function handleTopicDelete(
  { name }: RequestOf<typeof topicDelete>,
  cluster: Cluster,
): Promise<Answer<ReplyOf<typeof topicDelete>>> {
  cluster.checkLeads()
  const change = await cluster.leadership.write(
    () => cluster.topics.prepareDelete(name, { counters: cluster.leadership.counters }),
    (made) => cluster.topics.removed(made),
  )
  cluster.observe({ kind: 'topic_deleted', topic: change.info })
  await cluster.applied(change)
  return { reply: { id: change.info.id } }
}
