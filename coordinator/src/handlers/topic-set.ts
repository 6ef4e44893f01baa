import type { ReplyOf, RequestOf, topicSet } from '@popmq/protocol'
import type { Answer } from '@popmq/transport'
import type { Cluster } from '../core/cluster.ts'

/**
 * Changes keys of a topic, adds partitions, or both, and answers when every broker with a session acts on it.
 * @throws MqError `topic_not_found`, `topic_busy`, `invalid_config`, `no_brokers`; `timed_out` when it is done but
 * not applied everywhere, `registry_unavailable` when it may have been done
 */
export async function handleTopicSet(
  request: RequestOf<typeof topicSet>,
  cluster: Cluster,
): Promise<Answer<ReplyOf<typeof topicSet>>> {
  cluster.checkLeads()
  const change = await cluster.leadership.write(
    () =>
      cluster.topics.prepareSet(request, {
        counters: cluster.leadership.counters,
        sets: cluster.candidates(),
      }),
    (made) => cluster.topics.changed(made),
  )
  cluster.observe({ kind: 'topic_changed', topic: change.info })
  await cluster.applied(change)
  return { reply: { topic: change.info } }
}
