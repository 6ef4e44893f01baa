import { type Clock, deferred } from '@popmq/kit'
import { type fetch, type FetchResult, partitionKey, type PartitionKey } from '@popmq/protocol'
import type { ReplyOf, RequestOf } from '@popmq/protocol'
import type { Answer, RequestContext } from '@popmq/transport'
import type { FetchReader } from '../core/fetch-reader.ts'
import type { Waiters } from '../core/waiters.ts'

export interface FetchParts {
  readonly reader: Pick<FetchReader, 'read'>
  readonly waiters: Pick<Waiters, 'hold'>
  readonly clock: Clock
  readonly isStopping: () => boolean
}

/** Reads what is visible; while there is nothing to tell, holds the request until something is or its time is up. */
export async function handleFetch(
  request: RequestOf<typeof fetch>,
  context: Pick<RequestContext, 'isClosed' | 'onClosed'>,
  { reader, waiters, clock, isStopping }: FetchParts,
): Promise<Answer<ReplyOf<typeof fetch>>> {
  const untilMs = clock.monotonic() + request.waitMs
  const keys = request.partitions.map(keyOf)
  let gone: (() => void) | undefined
  context.onClosed(() => gone?.())
  let { partitions } = request
  // What a filter passed by is told at the end, or the next request would begin before it again.
  const passed = new Map<PartitionKey, FetchResult>()
  for (;;) {
    // Held before it reads: what becomes visible while an old block is read wakes it too.
    const woken = deferred()
    const remainingMs = untilMs - clock.monotonic()
    const waiter = waiters.hold(keys, Math.max(0, remainingMs), woken.resolve)
    gone = woken.resolve
    try {
      const found = await reader.read(partitions, request.maxBytes)
      const isOver = remainingMs <= 0 || context.isClosed || isStopping()
      for (const result of found.passed) passed.set(keyOf(result), result)
      for (const result of found.results) passed.delete(keyOf(result))
      if (found.results.length > 0 || isOver) {
        return { reply: { results: [...found.results, ...passed.values()] }, slices: found.slices }
      }
      partitions = found.rest
      await woken.promise
    } finally {
      waiter.cancel()
    }
  }
}

function keyOf({ topicId, partition }: Pick<FetchResult, 'topicId' | 'partition'>): PartitionKey {
  return partitionKey(topicId, partition)
}
