import { firstHeldNumber, groupDescribe, type GroupId, inflightList } from '@popmq/protocol'
import {
  inflightRelease,
  type LeasedMessage,
  MqError,
  offset,
  partitionNumber,
} from '@popmq/protocol'
import { quoted, retryChange, retryList, type TopicId, type WaitingRetry } from '@popmq/protocol'
import type { CallOptions } from './api/admin.ts'
import type { InflightList, InflightMessage, ReleaseResult } from './api/group-waiting.ts'
import type { RetryChangeResult, RetryList, WaitingRetryMessage } from './api/group-waiting.ts'
import { formatPlaceId, heldIdOf, parseHeldId, readHeldId, readPlaceId } from './core/held-id.ts'
import { checkRange } from './options.ts'
import { byPlace } from './reading.ts'
import { type ClusterMap, SetLeaders, type SetLeadersDeps } from './set-leaders.ts'
import { byKey, inParts, readPages } from './set-pages.ts'

/** A group with the sets that may have something of it. */
interface KnownGroup {
  readonly id: GroupId
  readonly sets: readonly number[]
  readonly map: ClusterMap
}

interface Limited extends CallOptions {
  readonly limit?: number
}

/** A message to take from its consumer. */
interface Release {
  readonly id: string
  readonly set: number
  readonly message: {
    readonly topicId: TopicId
    readonly partition: ReturnType<typeof partitionNumber>
    readonly offset: ReturnType<typeof offset>
    readonly number?: number
  }
}

const mostPerRequest = 1_000
const lookupsAtOnce = 16

/** What waits of a group on the brokers: messages that consumers have, and retries. */
export class GroupWaiting {
  readonly #deps: SetLeadersDeps
  readonly #leaders: SetLeaders

  constructor(deps: SetLeadersDeps) {
    this.#deps = deps
    this.#leaders = new SetLeaders(deps)
  }

  async inflight(group: string, { limit = 1_000, signal }: Limited): Promise<InflightList> {
    checkRange('limit', limit, [1, 100_000])
    const { id: groupId, sets, map } = await this.#find(group, signal)
    const told = await Promise.all(
      sets.map(async (set) => {
        const { items, complete } = await readPages<LeasedMessage>(
          limit,
          (_, seen) => seen,
          (page) =>
            this.#leaders.ask(set, { isRepeatable: true, signal }, async (caller, how) => {
              const { reply } = await caller.call(inflightList, { groupId, ...page }, how)
              return { items: reply.messages, complete: reply.complete }
            }),
        )
        return { messages: items.map((each) => leasedOf(set, each, map)), complete }
      }),
    )
    const messages = told
      .flatMap((each) => each.messages)
      .sort((a, b) => byPlace(a, b) || a.offset - b.offset)
    const isWhole = messages.length <= limit && told.every(({ complete }) => complete)
    return { messages: messages.slice(0, limit), complete: isWhole }
  }

  async release(
    group: string,
    ids: readonly string[],
    { signal }: CallOptions,
  ): Promise<ReleaseResult[]> {
    for (const id of ids) checkInflightId(id)
    const { id: groupId, map } = await this.#find(group, signal)
    const found: Release[] = []
    for (const part of inParts(ids, lookupsAtOnce)) {
      const looked = part.map((id) => this.#inflightBy(id, { groupId, map, signal }))
      for (const release of await Promise.all(looked)) if (release) found.push(release)
    }
    const released = new Set<string>()
    for (const [set, ofSet] of byKey(found, (each) => each.set)) {
      for (const part of inParts(ofSet, mostPerRequest)) {
        const messages = part.map(({ message }) => message)
        const { reply } = await this.#leaders.ask(
          set,
          { isRepeatable: false, signal },
          async (caller, how) => await caller.call(inflightRelease, { groupId, messages }, how),
        )
        part.forEach(({ id }, index) => reply.released[index] === true && released.add(id))
      }
    }
    return ids.map((id) => ({ id, result: released.has(id) ? 'released' : 'unknown' }))
  }

  async retries(group: string, { limit = 1_000, signal }: Limited): Promise<RetryList> {
    checkRange('limit', limit, [1, 100_000])
    const { id: groupId, sets, map } = await this.#find(group, signal)
    const told = await Promise.all(
      sets.map(async (set) => {
        const { items, complete } = await readPages<WaitingRetry>(
          limit,
          ({ number }) => number,
          (page) =>
            this.#leaders.ask(set, { isRepeatable: true, signal }, async (caller, how) => {
              const { reply } = await caller.call(retryList, { groupId, ...page }, how)
              return { items: reply.retries, complete: reply.complete }
            }),
        )
        return { messages: items.map((each) => retryOf(set, each, map)), complete }
      }),
    )
    const messages = told.flatMap((each) => each.messages).sort((a, b) => a.dueAt - b.dueAt)
    const isWhole = messages.length <= limit && told.every(({ complete }) => complete)
    return { messages: messages.slice(0, limit), complete: isWhole }
  }

  async change(
    group: string,
    { ids, to }: { readonly ids: readonly string[]; readonly to: 'now' | 'dead' },
    { signal }: CallOptions,
  ): Promise<RetryChangeResult[]> {
    const named = ids.map((id) => ({ id, ...parseHeldId('a retry', id) }))
    const { id: groupId, map } = await this.#find(group, signal)
    const results = new Map<string, RetryChangeResult['result']>()
    for (const [set, ofSet] of byKey(named, (each) => each.set)) {
      if (!map.sets.includes(set)) continue
      for (const part of inParts(ofSet, mostPerRequest)) {
        const numbers = part.map(({ number }) => firstHeldNumber + number)
        // Not tried again once it may have been done: the answer would be about what is left of it.
        const { reply } = await this.#leaders.ask(
          set,
          { isRepeatable: false, signal },
          async (caller, how) => await caller.call(retryChange, { groupId, numbers, to }, how),
        )
        part.forEach(({ id }, index) => results.set(id, reply.results[index] ?? 'unknown'))
      }
    }
    return ids.map((id) => ({ id, result: results.get(id) ?? 'unknown' }))
  }

  /** @throws MqError `group_not_found` */
  async #find(group: string, signal: AbortSignal | undefined): Promise<KnownGroup> {
    const { coordinators } = this.#deps
    const how = {
      withinMs: 30_000,
      isRepeatable: true,
      ...(signal === undefined ? {} : { signal }),
    }
    const told = await coordinators.call(groupDescribe, { group }, how)
    const map = await this.#leaders.map(signal)
    const ids = new Set<number>(told.group.topics.map(({ topicId }) => topicId))
    for (const { topicId } of told.progress) ids.add(topicId)
    const read = map.topics.filter(({ id }) => ids.has(id))
    const sets = [...new Set(read.flatMap((topic) => topic.sets))]
    return { id: told.group.groupId, sets, map }
  }

  /** @returns undefined for what is surely not in flight */
  async #inflightBy(
    id: string,
    of: { groupId: GroupId; map: ClusterMap; signal: AbortSignal | undefined },
  ): Promise<Release | undefined> {
    const { groupId, map, signal } = of
    const place = readPlaceId(id)
    if (place !== undefined) {
      const topic = map.topics.find(({ name }) => name === place.topic)
      const set = topic?.sets[place.partition]
      if (topic === undefined || set === undefined) return undefined
      const partition = partitionNumber(place.partition)
      return { id, set, message: { topicId: topic.id, partition, offset: offset(place.offset) } }
    }
    const { set, number } = parseHeldId('a message in flight', id)
    if (!map.sets.includes(set)) return undefined
    const held = firstHeldNumber + number
    return this.#leaders.ask(set, { isRepeatable: true, signal }, async (caller, how) => {
      const { reply } = await caller.call(retryList, { groupId, after: held - 1, limit: 1 }, how)
      const [retry] = reply.retries
      if (retry?.number !== held) return undefined
      const { topicId, partition, offset: at } = retry
      return { id, set, message: { topicId, partition, offset: at, number: held } }
    })
  }
}

/** @throws MqError `invalid_request` */
function checkInflightId(id: string): void {
  if (readPlaceId(id) !== undefined || readHeldId(id) !== undefined) return
  const what = `${quoted(String(id))} is not the id of a message in flight: orders/0/17, or 1-17 for a retry`
  throw new MqError('invalid_request', what)
}

function leasedOf(set: number, told: LeasedMessage, { nameOf }: ClusterMap): InflightMessage {
  const { topicId, number, ...rest } = told
  const topic = nameOf(topicId)
  const { partition, offset: at } = rest
  const id =
    number === undefined ? formatPlaceId({ topic, partition, offset: at }) : heldIdOf(set, number)
  return { id, topic, ...rest }
}

function retryOf(set: number, told: WaitingRetry, { nameOf }: ClusterMap): WaitingRetryMessage {
  const { number, topicId, ...rest } = told
  return { id: heldIdOf(set, number), topic: nameOf(topicId), ...rest }
}
