import { MqError, partitionKey, type purge, type ReplyOf, type RequestOf } from '@popmq/protocol'
import type { Answer } from '@popmq/transport'
import type { ReplicaSet } from '../core/replica-set.ts'
import type { Topics } from '../core/topics.ts'

export interface PurgeParts {
  readonly set: Pick<ReplicaSet, 'bounds' | 'raiseLow'>
  readonly topics: Pick<Topics, 'led'>
}

/** Makes everything below an offset unreadable; answered when that is durable and applied. */
export async function handlePurge(
  { topicId, partition, before }: RequestOf<typeof purge>,
  { set, topics }: PurgeParts,
): Promise<Answer<ReplyOf<typeof purge>>> {
  if (topics.led(topicId, partition) === undefined) {
    throw new MqError(
      'not_leader',
      `this broker does not lead partition ${partition} of topic ${topicId}`,
    )
  }
  const key = partitionKey(topicId, partition)
  const { low, high } = set.bounds(key)
  if (before > high) {
    throw new MqError(
      'offset_out_of_range',
      `offset ${before} is beyond the end of the partition`,
      { facts: { low, high } },
    )
  }
  if (before > low) await set.raiseLow([{ key, low: before }])
  return { reply: set.bounds(key) }
}
