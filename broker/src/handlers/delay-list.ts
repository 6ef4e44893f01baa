import type { delayList, ReplyOf, RequestOf } from '@popmq/protocol'
import type { Answer } from '@popmq/transport'
import type { Delays } from '../core/holds/delays.ts'

export interface DelayListParts {
  readonly delays: Pick<Delays, 'list' | 'count'>
}

/** The delayed messages of a topic that wait on this broker, by number; none of a topic that it does not know. */
export async function handleDelayList(
  { topicId, after = 0, limit }: RequestOf<typeof delayList>,
  { delays }: DelayListParts,
): Promise<Answer<ReplyOf<typeof delayList>>> {
  // One more than asked for tells whether anything follows.
  const found = delays.list({ topicId, after, limit: limit + 1 })
  const messages = found.slice(0, limit).map(({ position: _position, ...message }) => message)
  return {
    reply: { messages, complete: found.length <= limit, total: delays.count(topicId) },
  }
}
