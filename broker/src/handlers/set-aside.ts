import type { Clock } from '@popmq/kit'
import {
  type LogPosition,
  MqError,
  partitionKey,
  type ReplyOf,
  type RequestOf,
  type setAside,
  type SettleResult,
} from '@popmq/protocol'
import type { Answer } from '@popmq/transport'
import type { DeliveryLog } from '../core/delivery/delivery-log.ts'
import type { Dispatch } from '../core/delivery/dispatch.ts'
import type { GrantFences } from '../core/grant-fences.ts'
import type { Topics } from '../core/topics.ts'

export interface SetAsideParts {
  readonly dispatch: Pick<Dispatch, 'group' | 'moving'>
  readonly topics: Pick<Topics, 'led'>
  readonly fences: Pick<GrantFences, 'isFenced'>
  readonly log: Pick<DeliveryLog, 'whenDone'>
  readonly clock: Clock
}

/** Moves messages of a pulled partition to their next delivery; later fetches of the group pass them by. */
export async function handleSetAside(
  request: RequestOf<typeof setAside>,
  { dispatch, topics, fences, log, clock }: SetAsideParts,
): Promise<Answer<ReplyOf<typeof setAside>>> {
  const { groupId, topicId, partition, epoch, offsets, retriable = true } = request
  const { consumer, error, delayMs } = request
  if (topics.led(topicId, partition) === undefined)
    throw new MqError(
      'not_leader',
      `this broker does not lead partition ${partition} of topic ${topicId}`,
    )
  const key = partitionKey(topicId, partition)
  if (fences.isFenced({ groupId, key, epoch }))
    throw new MqError(
      'grant_fenced',
      `partition ${partition} of topic ${topicId} was given to another member`,
    )
  const group = dispatch.group(groupId)
  if (group.topic(topicId)?.mode !== 'pull')
    throw new MqError('subscription_conflict', `the group does not pull topic ${topicId}`)
  const place = group.partition(key)
  const results: SettleResult[] = []
  let end: LogPosition | undefined
  for (const number of offsets) {
    const isSettling = place.book.isSettling(number)
    if (isSettling) await place.book.settlement(number)
    // Nobody has a lease on what is pulled: a handle without one is good until its message was set aside.
    if (place.book.judge(number, 0) !== 'current') {
      results.push('already')
      continue
    }
    const outcome = retriable ? 'nack' : 'rejected'
    const nowMs = clock.now()
    const moved = await dispatch.moving.move({
      group,
      place,
      number,
      outcome,
      error,
      consumer,
      delayMs,
      nowMs,
    })
    results.push(moved?.to ?? 'unknown')
    end = moved?.end ?? end
  }
  if (end !== undefined) await log.whenDone(end)
  return { reply: { results } }
}
