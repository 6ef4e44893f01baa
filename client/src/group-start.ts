import { Backoff, type Clock, type Random, sleep } from '@popmq/kit'
import { asMqError, groupStart, MqError, offset, quoted, type TopicId } from '@popmq/protocol'
import type { Admin, PartitionOffsets } from './api/admin.ts'
import type { TopicPartition } from './api/message.ts'
import type { ReadFrom } from './api/pull-consumer.ts'
import type { Coordinators } from './coordinators.ts'
import type { Session } from './core/membership.ts'
import { type PullConsumerConfig, startOf } from './pull-consumer-config.ts'
import { isSessionOver } from './session-over.ts'

export interface GroupStartDeps {
  readonly coordinators: Coordinators
  readonly clock: Clock
  readonly random: Random
  readonly admin: Pick<Admin, 'offsets'>
  readonly signal: AbortSignal
}

const tryMs = 5_000
const pause = { firstMs: 50, mostMs: 1_000 }

/**
 * Tells where a group begins to read a topic: resolves `from` to offsets through the brokers. Tried until it is answered
 * or the session is over. @throws MqError for what trying again would not mend
 */
export async function startTopic(
  topic: { readonly name: string; readonly topicId: TopicId },
  { from, session }: { from: PullConsumerConfig['from']; session: Session },
  { coordinators, clock, random, admin, signal }: GroupStartDeps,
): Promise<void> {
  const { groupId, memberId } = session
  const backoff = new Backoff(random, pause)
  while (!signal.aborted) {
    try {
      const offsets = await startOffsets(topic.name, from, admin)
      const request = { groupId, memberId, topicId: topic.topicId, offsets }
      await coordinators.call(groupStart, request, { withinMs: tryMs, isRepeatable: true, signal })
      return
    } catch (thrown) {
      const error = asMqError(thrown)
      // The session request meets it too, and leads to a new session.
      if (signal.aborted || isSessionOver(error)) return
      if (error.retriable === 'no') throw error
    }
    await sleep(clock, backoff.nextMs(), signal)
  }
}

async function startOffsets(
  topic: string,
  from: PullConsumerConfig['from'],
  admin: Pick<Admin, 'offsets'>,
) {
  const all = await admin.offsets(topic, from instanceof Date ? { at: from } : {})
  return all.map((bounds) => {
    const start = startOf({ from }, { topic, partition: bounds.partition })
    return offset(resolved(start, bounds))
  })
}

/** Where a start lies; one beyond the bounds is moved to the nearer one. */
export function resolved(
  start: ReturnType<typeof startOf>,
  { low, high, offset: ofTime }: PartitionOffsets,
): number {
  if (start === 'earliest') return low
  if (start === 'latest') return high
  if (start instanceof Date) return ofTime ?? high
  return Math.min(Math.max(start, low), high)
}

/**
 * Where progress of a partition is to be set.
 * @throws MqError `partition_not_found`; `offset_out_of_range` when an offset is meant for this partition alone
 */
export function checkOffset(
  { topic, partition }: TopicPartition,
  { to, bounds, isExact }: { to: ReadFrom; bounds: PartitionOffsets | undefined; isExact: boolean },
): number {
  if (bounds === undefined) {
    const what = `topic ${quoted(topic)} has no partition ${partition}`
    throw new MqError('partition_not_found', what)
  }
  const { low, high } = bounds
  if (isExact && typeof to === 'number' && (to < low || to > high)) {
    const what = `offset ${to} of partition ${partition} of topic ${quoted(topic)} is not from ${low} to ${high}`
    throw new MqError('offset_out_of_range', what, {
      facts: { topic, partition, offset: to, low, high },
    })
  }
  return resolved(to, bounds)
}
