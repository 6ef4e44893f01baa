import { Backoff, type Clock, type Random, sleep } from '@popmq/kit'
import { asMqError, type Checksum, clusterStatus, fetch } from '@popmq/protocol'
import { metadata, MqError } from '@popmq/protocol'
import { offset, offsets, partitionNumber, purge, quoted } from '@popmq/protocol'
import { topicCreate, topicDelete, type TopicInfo, topicSet } from '@popmq/protocol'
import type { Caller } from '@popmq/transport'
import { throwIfAborted } from './aborting.ts'
import type { Admin, CallOptions, ClusterDescription, PartitionOffsets } from './api/admin.ts'
import type { TopicConfig, TopicDescription } from './api/admin.ts'
import type { DeadLetterAdmin } from './api/dead-letters.ts'
import type { DelayAdmin } from './api/delays.ts'
import type { GroupAdmin } from './api/group-admin.ts'
import type { Message, TopicPartition } from './api/message.ts'
import type { PartitionOffset } from './api/pull-consumer.ts'
import type { ConnectionPool } from './connection-pool.ts'
import type { Coordinators } from './coordinators.ts'
import { concernsRoute } from './core/attempt-verdict.ts'
import type { ReceivedMessage } from './core/received-message.ts'
import { RecordReader } from './core/record-reader.ts'
import { RemoteDeadLetterAdmin } from './dead-letter-admin.ts'
import { RemoteDelayAdmin } from './delay-admin.ts'
import { RemoteGroupAdmin } from './group-admin.ts'
import { checkRange } from './options.ts'
import { describe, leaderOf, noPartition, type RoutedTopic } from './routed-topic.ts'
import { tableOf, throwResult } from './routed-topic.ts'

export interface AdminDeps {
  readonly coordinators: Coordinators
  readonly pool: ConnectionPool
  readonly clock: Clock
  readonly random: Random
  readonly crc32: Checksum
  /** How long one request to a broker may go unanswered, in ms. */
  readonly requestTimeoutMs: number
}

/** How long a call is tried. */
const tryMs = 30_000
const retryPause = { firstMs: 50, mostMs: 1_000 }
const defaultPartitions = 8

/** Asks the coordinators and the leaders of partitions. Keeps nothing: each call sees what is so now. */
export class RemoteAdmin implements Admin {
  readonly #deps: AdminDeps

  constructor(deps: AdminDeps) {
    this.#deps = deps
  }

  async createTopic(
    name: string,
    options: { readonly partitions?: number; readonly config?: TopicConfig } & CallOptions = {},
  ): Promise<TopicDescription> {
    const { partitions = defaultPartitions, config, signal } = options
    checkRange('partitions', partitions, [1, 1_024])
    const request = { name, partitions, ...(config === undefined ? {} : { config }) }
    await this.#deps.coordinators.call(topicCreate, request, once(signal))
    return this.describeTopic(name, options)
  }

  async listTopics({ signal }: CallOptions = {}): Promise<TopicDescription[]> {
    const answer = await this.#deps.coordinators.call(metadata, {}, repeatable(signal))
    const table = tableOf(answer)
    const sorted = answer.topics.toSorted((a, b) => (a.name < b.name ? -1 : 1))
    return sorted.map((info) => describe({ info, table }))
  }

  async describeTopic(name: string, { signal }: CallOptions = {}): Promise<TopicDescription> {
    return describe(await this.#topic(name, signal))
  }

  async setTopic(
    name: string,
    options: { readonly partitions?: number; readonly config?: TopicConfig } & CallOptions,
  ): Promise<TopicDescription> {
    const { partitions, config, signal } = options
    if (partitions !== undefined) checkRange('partitions', partitions, [1, 1_024])
    const request = {
      name,
      ...(partitions === undefined ? {} : { partitions }),
      ...(config === undefined ? {} : { config }),
    }
    await this.#deps.coordinators.call(topicSet, request, repeatable(signal))
    return this.describeTopic(name, options)
  }

  async deleteTopic(name: string, { signal }: CallOptions = {}): Promise<void> {
    await this.#deps.coordinators.call(topicDelete, { name }, once(signal))
  }

  async purgeTopic(
    name: string,
    options: { readonly before?: number | Date; readonly partition?: number } & CallOptions = {},
  ): Promise<PartitionOffsets[]> {
    const { before, partition, signal } = options
    if (typeof before === 'number') {
      checkRange('before', before, [0, Number.MAX_SAFE_INTEGER])
    }
    const at = before instanceof Date ? { at: before } : {}
    const all = await this.offsets(name, { ...options, ...at })
    const chosen =
      partition === undefined ? all : all.filter((each) => each.partition === partition)
    if (chosen.length === 0) throw noPartition(name, partition ?? 0)
    const purged: PartitionOffsets[] = []
    for (const bounds of chosen) {
      const asked = typeof before === 'number' ? before : (bounds.offset ?? bounds.high)
      // One offset for all partitions is a bound for each: a shorter one is purged whole.
      const limit =
        partition === undefined ? Math.min(Math.max(asked, bounds.low), bounds.high) : asked
      const place = { topic: name, partition: bounds.partition, offset: limit }
      purged.push(await this.#purge(place, signal))
    }
    return purged
  }

  async offsets(
    name: string,
    { at, signal }: { readonly at?: Date } & CallOptions = {},
  ): Promise<PartitionOffsets[]> {
    if (at !== undefined) checkRange('at', at.getTime(), [0, Number.MAX_SAFE_INTEGER])
    const time = at === undefined ? {} : { at: at.getTime() }
    return this.#withRoute({ topic: name }, signal, async (topic) => {
      const byLeader = new Map<string, number[]>()
      for (const partition of topic.info.sets.keys()) {
        const address = leaderOf(topic, partition)
        byLeader.set(address, [...(byLeader.get(address) ?? []), partition])
      }
      const told = [...byLeader].map(async ([address, partitions]) => {
        const topicId = topic.info.id
        const asked = partitions.map((at) => ({ topicId, partition: partitionNumber(at), ...time }))
        const caller = await this.#deps.pool.caller(address)
        const { reply } = await caller.call(offsets, { partitions: asked }, this.#how(signal))
        return partitions.map((partition, index) => {
          const result = reply.results[index]
          throwResult(result)
          return { partition, low: result.low, high: result.high, offset: result.offset }
        })
      })
      const all = (await Promise.all(told)).flat()
      return all.sort((a, b) => a.partition - b.partition)
    })
  }

  async cluster({ signal }: CallOptions = {}): Promise<ClusterDescription> {
    const status = await this.#deps.coordinators.call(clusterStatus, {}, repeatable(signal))
    const brokers = status.brokers.map(({ setId, ...broker }) => {
      return { ...broker, alive: broker.state === 'live', set: setId }
    })
    return { ...status, brokers }
  }

  async messageAt(place: PartitionOffset, { signal }: CallOptions = {}): Promise<Message> {
    checkRange('offset', place.offset, [0, Number.MAX_SAFE_INTEGER])
    return this.#atLeader(place, signal, async (caller, { id: topicId }) => {
      const { topic, partition, offset: from } = place
      const asked = { topicId, partition: partitionNumber(partition), offset: offset(from) }
      const request = { partitions: [asked], waitMs: 0, maxBytes: 1 }
      const { reply, bytes } = await caller.call(fetch, request, this.#how(signal))
      const [result] = reply.results
      if (result?.error !== undefined) throwResult(result)
      const records = { topic, topicId, partition, bytes, from, next: from }
      const found: ReceivedMessage[] = []
      const { crc32 } = this.#deps
      const error = new RecordReader(records, { crc32, filter: undefined }).read(found, 1)
      if (error !== undefined) throw error
      const [message] = found
      if (message?.offset === from) return message
      const what = `partition ${partition} of topic ${quoted(topic)} has no message at offset ${from}`
      throw new MqError('message_not_found', what)
    })
  }

  groups(): GroupAdmin {
    return new RemoteGroupAdmin({ ...this.#deps, admin: this })
  }

  delays(): DelayAdmin {
    return new RemoteDelayAdmin(this.#deps)
  }

  deadLetters(group: string): DeadLetterAdmin {
    return new RemoteDeadLetterAdmin(group, this.#deps)
  }

  #purge(place: PartitionOffset, signal: AbortSignal | undefined): Promise<PartitionOffsets> {
    const { partition } = place
    return this.#atLeader(place, signal, async (caller, { id: topicId }) => {
      const where = { topicId, partition: partitionNumber(partition) }
      const request = { ...where, before: offset(place.offset) }
      const { reply } = await caller.call(purge, request, this.#how(signal))
      return { partition, low: reply.low, high: reply.high, offset: undefined }
    })
  }

  /** @throws MqError `topic_not_found` */
  async #topic(name: string, signal: AbortSignal | undefined): Promise<RoutedTopic> {
    const request = { topics: [name] }
    const answer = await this.#deps.coordinators.call(metadata, request, repeatable(signal))
    const info = answer.topics.find((topic) => topic.name === name)
    if (info === undefined)
      throw new MqError('topic_not_found', `there is no topic ${quoted(name)}`)
    return { info, table: tableOf(answer) }
  }

  /** @throws MqError `partition_not_found` when the coordinator says so */
  async #atLeader<T>(
    at: TopicPartition,
    signal: AbortSignal | undefined,
    ask: (caller: Caller, topic: TopicInfo) => Promise<T>,
  ): Promise<T> {
    return this.#withRoute(at, signal, async (topic) => {
      const caller = await this.#deps.pool.caller(leaderOf(topic, at.partition))
      return ask(caller, topic.info)
    })
  }

  /** Asks with the routes of now, and anew when they seem to be out of date: what is asked may be repeated. */
  async #withRoute<T>(
    { topic: name, partition = 0 }: { topic: string; partition?: number },
    signal: AbortSignal | undefined,
    ask: (topic: RoutedTopic) => Promise<T>,
  ): Promise<T> {
    const { clock, random } = this.#deps
    const endsAt = clock.monotonic() + tryMs
    const backoff = new Backoff(random, retryPause)
    for (;;) {
      throwIfAborted(signal)
      const topic = await this.#topic(name, signal)
      if (topic.info.sets[partition] === undefined) throw noPartition(name, partition)
      try {
        return await ask(topic)
      } catch (thrown) {
        const error = asMqError(thrown)
        const pauseMs = backoff.nextMs()
        if (!concernsRoute(error) || clock.monotonic() + pauseMs >= endsAt) throw error
        await sleep(clock, pauseMs, signal)
      }
    }
  }

  #how(signal: AbortSignal | undefined): { timeoutMs: number; signal?: AbortSignal } {
    const timeoutMs = this.#deps.requestTimeoutMs
    return signal === undefined ? { timeoutMs } : { timeoutMs, signal }
  }
}

function once(signal: AbortSignal | undefined) {
  return { withinMs: tryMs, isRepeatable: false, ...(signal === undefined ? {} : { signal }) }
}

function repeatable(signal: AbortSignal | undefined) {
  return { ...once(signal), isRepeatable: true }
}
