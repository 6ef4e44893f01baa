import {
  type inflightList,
  type inflightRelease,
  type LeasedMessage,
  offset,
  partitionKey,
  partitionOfKey,
  type ReplyOf,
  type RequestOf,
  topicOfKey,
} from '@popmq/protocol'
import type { Answer } from '@popmq/transport'
import type { Delivery } from '../core/delivery/delivery.ts'
import type { Dispatch } from '../core/delivery/dispatch.ts'
import type { GroupDispatch } from '../core/delivery/group-dispatch.ts'
import type { Lease } from '../core/delivery/lease.ts'

export interface InflightParts {
  readonly dispatch: Pick<Dispatch, 'group' | 'settling'>
  readonly delivery: Delivery
}

/** What is handed out, sorted by topic, partition and offset. */
export async function handleInflightList(
  { groupId, after = 0, limit }: RequestOf<typeof inflightList>,
  { dispatch, delivery }: InflightParts,
): Promise<Answer<ReplyOf<typeof inflightList>>> {
  const group = dispatch.group(groupId)
  const all = [...heldMessages(group), ...heldRetries(group, delivery)].toSorted(
    (a, b) => a.topicId - b.topicId || a.partition - b.partition || a.offset - b.offset,
  )
  const messages = all.slice(after, after + limit)
  return { reply: { messages, complete: after + messages.length >= all.length } }
}

/** Takes leases away: the messages can be handed out at once. */
export async function handleInflightRelease(
  { groupId, messages }: RequestOf<typeof inflightRelease>,
  { dispatch }: InflightParts,
): Promise<Answer<ReplyOf<typeof inflightRelease>>> {
  const group = dispatch.group(groupId)
  await group.whenReset()
  const places = messages.map(({ topicId, partition, offset: at, number }) => {
    const key = partitionKey(topicId, partition)
    if (number !== undefined) return { place: group.retries.placeOf({ key }), number }
    return { place: group.partition(key), number: at }
  })
  return { reply: { released: dispatch.settling.takeBack(group, places) } }
}

function* heldMessages(group: GroupDispatch): Generator<LeasedMessage> {
  for (const { key, book } of group.partitions()) {
    for (const [number, lease] of book.held())
      yield described({ key, offset: offset(number) }, lease)
  }
}

function* heldRetries(group: GroupDispatch, { retries }: Delivery): Generator<LeasedMessage> {
  for (const [number, lease] of group.retries.book.held()) {
    const retry = retries.get(number)
    if (retry !== undefined) yield { ...described(retry, lease), number }
  }
}

function described(
  {
    key,
    offset: at,
  }: { readonly key: ReturnType<typeof partitionKey>; readonly offset: LeasedMessage['offset'] },
  { attempt, consumer, at: since, until }: Lease,
): LeasedMessage {
  const place = { topicId: topicOfKey(key), partition: partitionOfKey(key), offset: at }
  return { ...place, attempt, consumer, since, until }
}
