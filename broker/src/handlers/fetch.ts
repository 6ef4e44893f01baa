import { type Clock, deferred } from '@popmq/kit'
import { errorNumber, type fetch, type FetchedPartition, type FetchResult } from '@popmq/protocol'
import { partitionKey, type PartitionKey } from '@popmq/protocol'
import type { ReplyOf, RequestOf } from '@popmq/protocol'
import type { Answer, RequestContext } from '@popmq/transport'
import type { FetchReader } from '../core/fetch-reader.ts'
import type { GrantFences } from '../core/grant-fences.ts'
import type { ReplicaSet } from '../core/replica-set.ts'
import type { Topics } from '../core/topics.ts'
import type { Waiters } from '../core/waiters.ts'

export interface FetchParts {
  readonly set: {
    readonly reader: Pick<FetchReader, 'read'>
    readonly waiters: Pick<Waiters, 'hold' | 'wake'>
    readonly fences: Pick<GrantFences, 'see' | 'isFenced'>
    readonly topics: Pick<Topics, 'led'>
    readonly bounds: ReplicaSet['bounds']
  }
  readonly clock: Clock
  readonly isStopping: () => boolean
}

/**
 * Reads what is visible; while there is nothing to tell, holds the request until something is or its time is up. A
 * partition that is read under a grant older than one seen is refused with `grant_fenced`, in a held request too.
 */
export async function handleFetch(
  request: RequestOf<typeof fetch>,
  context: Pick<RequestContext, 'isClosed' | 'onClosed'>,
  { set, clock, isStopping }: FetchParts,
): Promise<Answer<ReplyOf<typeof fetch>>> {
  const untilMs = clock.monotonic() + request.waitMs
  const keys = request.partitions.map(keyOf)
  let gone: (() => void) | undefined
  context.onClosed(() => gone?.())
  learnGrants(request.partitions, set)
  let { partitions } = request
  // What a filter passed by is told at the end, or the next request would begin before it again.
  const passed = new Map<PartitionKey, FetchResult>()
  for (;;) {
    // Held before it reads: what becomes visible while an old block is read wakes it too.
    const woken = deferred()
    const remainingMs = untilMs - clock.monotonic()
    const waiter = set.waiters.hold(keys, Math.max(0, remainingMs), woken.resolve)
    gone = woken.resolve
    try {
      const { served, refused } = fenced(partitions, set)
      const found = await set.reader.read(served, request.maxBytes)
      // A newer grant may have been seen while it read: then nothing of that is told.
      if (fenced(served, set).refused.length > 0) continue
      const isOver = remainingMs <= 0 || context.isClosed || isStopping()
      for (const result of found.passed) passed.set(keyOf(result), result)
      for (const result of [...found.results, ...refused]) passed.delete(keyOf(result))
      const news = [...found.results, ...refused]
      if (news.length > 0 || isOver) {
        return { reply: { results: [...news, ...passed.values()] }, slices: found.slices }
      }
      partitions = found.rest
      await woken.promise
    } finally {
      waiter.cancel()
    }
  }
}

type Fencing = Pick<FetchParts['set'], 'fences' | 'bounds'>

/** Notes the grants of a request; readers that are held under older ones are woken, to be told. */
function learnGrants(
  partitions: readonly FetchedPartition[],
  { fences, waiters, topics }: Pick<FetchParts['set'], 'fences' | 'waiters' | 'topics'>,
): void {
  for (const { grant, topicId, partition } of partitions) {
    // Only what is led here: nothing else could be refused, and anyone may name anything.
    if (grant === undefined || topics.led(topicId, partition) === undefined) continue
    const key = partitionKey(topicId, partition)
    if (fences.see({ ...grant, key })) waiters.wake(key)
  }
}

interface Fenced {
  readonly served: readonly FetchedPartition[]
  readonly refused: readonly FetchResult[]
}

function fenced(partitions: readonly FetchedPartition[], set: Fencing): Fenced {
  const isFenced = (asked: FetchedPartition): boolean =>
    asked.grant !== undefined && set.fences.isFenced({ ...asked.grant, key: keyOf(asked) })
  // Nearly always there is none, and then nothing is copied.
  if (!partitions.some(isFenced)) return { served: partitions, refused: [] }
  const refused = partitions.filter(isFenced).map((asked): FetchResult => {
    const { topicId, partition, offset: next } = asked
    const { low, high } = set.bounds(keyOf(asked))
    const what = `partition ${partition} of topic ${topicId} was given to another member of the group`
    const error = errorNumber('grant_fenced')
    return { topicId, partition, low, high, next, bytes: 0, error, what }
  })
  return { served: partitions.filter((asked) => !isFenced(asked)), refused }
}

function keyOf({ topicId, partition }: Pick<FetchResult, 'topicId' | 'partition'>): PartitionKey {
  return partitionKey(topicId, partition)
}
