import type { Clock } from '@popmq/kit'
import type { ReplyOf, RequestOf, topicCreate } from '@popmq/protocol'
import type { Answer } from '@popmq/transport'
import type { Cluster } from '../core/cluster.ts'

/**
 * Makes a topic and answers when every broker with a session knows it.
 * @throws MqError `invalid_name`, `topic_exists`, `invalid_config`, `no_brokers`; `timed_out` when it is made but not
 * applied everywhere, `registry_unavailable` when it may have been made
 */
export async function handleTopicCreate(
  request: RequestOf<typeof topicCreate>,
  cluster: Cluster,
  clock: Pick<Clock, 'now'>,
): Promise<Answer<ReplyOf<typeof topicCreate>>> {
  cluster.checkLeads()
  const change = await cluster.leadership.write(
    () =>
      cluster.topics.prepareCreate(request, {
        counters: cluster.leadership.counters,
        sets: cluster.candidates(),
        nowMs: clock.now(),
      }),
    (made) => cluster.topics.created(made),
  )
  cluster.observe({ kind: 'topic_created', topic: change.info })
  await cluster.applied(change)
  return { reply: { topic: change.info } }
}
