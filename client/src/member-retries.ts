import { MqError } from '@popmq/protocol'
import type { RetryOptions, RetryResult } from './api/group-consumer.ts'
import type { Message } from './api/message.ts'
import type { Membership } from './core/membership.ts'
import type { GroupAssignment } from './group-assignment.ts'
import type { GroupConsumerConfig } from './group-consumer-config.ts'
import { GroupRetries, type GroupRetriesDeps } from './group-retries.ts'
import type { Reading } from './reading.ts'

type MadeHere = 'names' | 'signal' | 'find' | 'groupId' | 'fenced' | 'isOpen' | 'progressed'

export interface MemberRetriesDeps extends Omit<GroupRetriesDeps, MadeHere> {
  readonly membership: Membership
  readonly assignment: GroupAssignment
  readonly reading: Reading
}

/** The retries of a member. @returns undefined for one that broadcasts: what it reads is not retried */
export function memberRetries(
  config: GroupConsumerConfig,
  { membership, assignment, reading, ...deps }: MemberRetriesDeps,
): GroupRetries | undefined {
  if (config.broadcast) return undefined
  const { clock } = deps
  return new GroupRetries(config, {
    ...deps,
    names: assignment.names,
    signal: reading.signal,
    find: (at) => assignment.find(at),
    groupId: () => membership.session?.groupId,
    fenced: ({ topicId, partition, epoch }) => {
      membership.fenced({ topicId, partition, epoch }, clock.monotonic())
      assignment.withhold()
    },
    isOpen: () => {
      if (!membership.isLive(clock.monotonic())) return false
      for (const held of membership.partitions) {
        if (membership.isOpen(held) && assignment.readerOf(held)?.isPaused !== true) return true
      }
      return false
    },
    progressed: () => reading.progressed(),
  })
}

/** As `GroupConsumer.retry`, of one message or many. @throws MqError */
export async function retryGiven(
  retries: GroupRetries | undefined,
  given: Message | readonly Message[],
  options: RetryOptions = {},
): Promise<RetryResult | RetryResult[]> {
  if (retries === undefined)
    throw new MqError('invalid_request', 'what a broadcast member reads is not retried')
  if (isMany(given)) return retries.retry(given, options)
  const [result = 'unknown'] = await retries.retry([given], options)
  return result
}

function isMany(given: Message | readonly Message[]): given is readonly Message[] {
  return Array.isArray(given)
}
