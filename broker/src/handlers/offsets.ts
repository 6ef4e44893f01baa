import {
  errorNumber,
  isMqError,
  MqError,
  type offsets,
  partitionKey,
  type ReplyOf,
  type RequestOf,
} from '@popmq/protocol'
import type { Answer } from '@popmq/transport'
import type { ReplicaSet } from '../core/replica-set.ts'
import type { Topics } from '../core/topics.ts'

export interface OffsetsParts {
  readonly set: Pick<ReplicaSet, 'bounds' | 'offsetAt'>
  readonly topics: Pick<Topics, 'led'>
}

type Result = ReplyOf<typeof offsets>['results'][number]
type Asked = RequestOf<typeof offsets>['partitions'][number]

/** Bounds, and offsets by time. */
export async function handleOffsets(
  { partitions }: RequestOf<typeof offsets>,
  parts: OffsetsParts,
): Promise<Answer<ReplyOf<typeof offsets>>> {
  return { reply: { results: await Promise.all(partitions.map((asked) => locate(asked, parts))) } }
}

async function locate(
  { topicId, partition, at }: Asked,
  { set, topics }: OffsetsParts,
): Promise<Result> {
  const key = partitionKey(topicId, partition)
  const bounds = set.bounds(key)
  try {
    if (topics.led(topicId, partition) === undefined) {
      throw new MqError(
        'not_leader',
        `this broker does not lead partition ${partition} of topic ${topicId}`,
      )
    }
    return {
      topicId,
      partition,
      ...bounds,
      ...(at === undefined ? {} : { offset: await set.offsetAt(key, at) }),
    }
  } catch (error) {
    if (!isMqError(error)) throw error
    return { topicId, partition, ...bounds, error: errorNumber(error.name), what: error.what }
  }
}
