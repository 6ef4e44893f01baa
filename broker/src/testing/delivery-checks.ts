import assert from 'node:assert/strict'
import { present } from '@popmq/kit'
import {
  type GroupId,
  type inflightRelease,
  offset,
  type Offset,
  partitionKey,
  partitionNumber,
  type PartitionState,
  type RequestOf,
  type ServedGroup,
  topicId,
} from '@popmq/protocol'
import type { DeliveryWorld } from './delivery-world.ts'
import type { PlainGroup, PlainMessage } from './plain-delivery.ts'

/** What committed records tell of each message, against the model. @returns what differs */
export function checkPlaces(world: DeliveryWorld, group: PlainGroup): string[] {
  const { delivery } = world.set.viewSet
  const id = group.id as GroupId
  const copies = new Map(
    [...delivery.retries.of(id)].map((each) => [`${each.key}.${each.offset}`, each]),
  )
  return group.messages.flatMap((message) => {
    const key = partitionKey(topicId(1), partitionNumber(message.partition))
    const at = message.offset as Offset
    const view = delivery.find(id, key)
    const copy = copies.get(`${key}.${at}`)
    const open = view?.open.get(at)
    const { low } = world.set.viewSet.queues.bounds(key)
    const isDone = at < Math.max(low, view?.next ?? 0) || view?.ahead.has(at) === true
    const found = [
      ...(copy === undefined ? [] : [`retry ${told(copy.lease, copy.attempts)}`]),
      ...(open === undefined ? [] : [`open ${told(open, 0)}`]),
    ]
    if (found.length === 0) found.push(isDone ? 'done' : 'fresh')
    const expected = expectedOf(group, message)
    const isRight = found.length === 1 && (expected === 'any' || found[0] === expected)
    return isRight
      ? []
      : [`${message.value} of group ${id} is ${found.join(' and ')}, not ${expected}`]
  })
}

function told(
  lease: { readonly nonce: number; readonly attempt: number; readonly until: number } | undefined,
  attempts: number,
): string {
  if (lease === undefined) return `waits after ${attempts}`
  const until = lease.nonce === 0 ? 'given back' : `until ${lease.until}`
  return `${lease.nonce} attempt ${lease.attempt} ${until}`
}

function expectedOf(group: PlainGroup, message: PlainMessage): string {
  const { place, lease, attempt } = message
  if (place === 'fresh') return group.isWanted(message) ? 'fresh' : 'any'
  if (place === 'open' || place === 'retry')
    return `${place} ${told(lease && { ...lease, attempt }, attempt)}`
  return 'done'
}

/** The states that the broker reports of a partition, against the model. */
export function checkCounts(
  group: PlainGroup,
  state: PartitionState,
  { isFuzzy }: { readonly isFuzzy: boolean },
): void {
  const counts = { ready: 0, unwanted: 0, leased: 0, retrying: 0, dead: 0, acked: 0, skipped: 0 }
  for (const message of group.messages) {
    if (message.partition !== state.partition) continue
    counts[stateOf(group, message)] += 1
  }
  const { leased, retrying, dead, ready, acked, skipped } = state
  const seen = JSON.stringify({ state, counts })
  assert.deepEqual([leased, retrying, dead], [counts.leased, counts.retrying, counts.dead], seen)
  // Until a filter passes them by, messages that nobody wants are ready.
  assert.ok(ready >= counts.ready && ready <= counts.ready + counts.unwanted, seen)
  const passed = counts.unwanted - (ready - counts.ready)
  assert.equal(acked + skipped, counts.acked + counts.skipped + passed, seen)
  if (!isFuzzy) assert.equal(acked, counts.acked, seen)
  assert.ok(acked >= 0 && skipped >= 0, seen)
}

function stateOf(
  group: PlainGroup,
  message: PlainMessage,
): 'ready' | 'unwanted' | 'leased' | 'retrying' | 'dead' | 'acked' | 'skipped' {
  const { place } = message
  if (place === 'fresh') return group.isWanted(message) ? 'ready' : 'unwanted'
  if (place === 'open') return group.isHeld(message) ? 'leased' : 'ready'
  if (place === 'retry') return group.isHeld(message) ? 'leased' : 'retrying'
  return place
}

/** The copy of a message that is retried, as the broker holds it. */
export function retryOf(
  world: DeliveryWorld,
  group: PlainGroup,
  message: PlainMessage,
): { readonly number: number; readonly dueAt: number } {
  const { retries } = world.set.viewSet.delivery
  const key = partitionKey(topicId(1), partitionNumber(message.partition))
  const found = [...retries.of(group.id as GroupId)].find(
    (retry) => retry.key === key && retry.offset === message.offset,
  )
  return present(found, `${message.value} is retried`)
}

/** The group as it is told when it is to go on elsewhere in one partition. */
export function withReset(
  served: ServedGroup,
  {
    partition,
    to,
    generation,
  }: { readonly partition: number; readonly to: number; readonly generation: number },
): ServedGroup {
  const there = present(served.topics[0], 'it reads one topic')
  const others = there.reset?.offsets.filter((each) => each.partition !== partition) ?? []
  const asked = { partition: partitionNumber(partition), offset: offset(to), generation }
  const reset = { generation: (there.reset?.generation ?? 0) + 1, offsets: [...others, asked] }
  return { ...served, topics: [{ ...there, reset }] }
}

/** Where a message lies now, as an operator names it. */
export function placeOf(
  world: DeliveryWorld,
  group: PlainGroup,
  message: PlainMessage,
): RequestOf<typeof inflightRelease>['messages'][number] {
  const { partition, offset: at, place } = message
  return {
    topicId: topicId(1),
    partition: partitionNumber(partition),
    offset: offset(at),
    ...(place === 'retry' ? { number: retryOf(world, group, message).number } : {}),
  }
}
