import { errorName, type FetchResult, MqError } from '@popmq/protocol'
import type { PartitionKey } from '@popmq/protocol'
import type { Jump } from '../api/pull-consumer.ts'
import { concernsRoute } from './attempt-verdict.ts'
import { notRead, type PartitionReader } from './partition-reader.ts'
import { type AskedReader, currentReader, type LocateResult } from './reader-request.ts'
import { readerKey, type ReaderRequest } from './reader-request.ts'
import type { ReceivedMessage } from './received-message.ts'
import { RecordReader, type RecordReaderDeps } from './record-reader.ts'
import type { RouteTable } from './route-table.ts'

export interface ReadAheadOptions {
  readonly onOutOfRange: 'earliest' | 'latest' | 'fail'
  readonly maxBytes: number
  readonly prefetchBytes: number
}

export interface ReadAheadDeps extends RecordReaderDeps {
  readonly routes: RouteTable
  readonly jumped: (jump: Jump) => void
  /** A broker has seen a later grant of the partition than the one it is read by. */
  readonly fenced: (reader: PartitionReader) => void
}

/** What was taken of one partition. */
export interface TakenMessages {
  readonly reader: PartitionReader
  readonly messages: readonly ReceivedMessage[]
  readonly next: number
}

/** The fields and the record bytes of an answer. */
export interface FetchedReply {
  readonly results: readonly FetchResult[]
  readonly bytes: Uint8Array
}

/** Held requests to one broker: a further one is made when partitions become free while others are held. */
const requestsPerBroker = 8

/**
 * Decides what to ask brokers for, and keeps what they answered until it is taken. A partition is in one request at a
 * time; partitions whose last answer had records go to the end of the next request, so that none starves.
 */
export class ReadAhead {
  readonly #options: ReadAheadOptions
  readonly #deps: ReadAheadDeps
  readonly #readers = new Map<PartitionKey, PartitionReader>()
  readonly #byTopic = new Map<string, Map<number, PartitionReader>>()
  /** Readers with records to take, in the order of their arrival. */
  readonly #filled = new Set<PartitionReader>()
  readonly #inFlight = new Map<string, number>()
  #wantsRoutes = false
  #wakesAt: number | undefined

  constructor(options: ReadAheadOptions, deps: ReadAheadDeps) {
    this.#options = options
    this.#deps = deps
  }

  get readers(): Iterable<PartitionReader> {
    return this.#readers.values()
  }

  add(reader: PartitionReader): void {
    this.#readers.set(readerKey(reader), reader)
    const partitions = this.#byTopic.get(reader.topic) ?? new Map<number, PartitionReader>()
    this.#byTopic.set(reader.topic, partitions.set(reader.partition, reader))
  }

  /** Stops reading a partition; what was fetched ahead is dropped. */
  remove(reader: PartitionReader): void {
    const { topic, partition } = reader
    if (this.find(topic, partition) !== reader) return
    this.#readers.delete(readerKey(reader))
    this.#byTopic.get(topic)?.delete(partition)
    this.#filled.delete(reader)
    reader.drop(notRead(reader))
  }

  /** @returns undefined for a partition that is not read */
  find(topic: string, partition: number): PartitionReader | undefined {
    return this.#byTopic.get(topic)?.get(partition)
  }

  /** Whether routes may be out of date. Asking resets it. */
  takeRouteWish(): boolean {
    const wanted = this.#wantsRoutes
    this.#wantsRoutes = false
    return wanted
  }

  /** When time alone makes a further request due, on the monotonic clock; as of the last `requests`. */
  get wakesAt(): number | undefined {
    return this.#wakesAt
  }

  /** The error of a partition that has nothing left to take and is not paused: reading cannot go on as if nothing were. */
  get error(): MqError | undefined {
    for (const { state, isSilent, error, ahead } of this.#readers.values()) {
      if (state === 'failed' && !isSilent && ahead.length === 0) return error
    }
    return undefined
  }

  /** The requests to make now. `isAwaited`: somebody waits for messages. */
  requests(now: number, isAwaited: boolean): ReaderRequest[] {
    const made = new Map<string, ReaderRequest & { asked: Map<PartitionKey, AskedReader> }>()
    this.#wakesAt = undefined
    const mayFetch = this.#mayFetch(isAwaited)
    for (const [key, reader] of this.#readers) {
      if (!reader.isFree(now)) {
        this.#wakeFor(reader, now)
        continue
      }
      if (reader.state === 'reading' && !mayFetch) continue
      const address = this.#addressOf(reader)
      if (address === undefined || (this.#inFlight.get(address) ?? 0) >= requestsPerBroker) continue
      const kind = reader.state === 'reading' ? 'fetch' : 'locate'
      let request = made.get(kind + address)
      if (request === undefined) {
        request = { kind, address, asked: new Map() }
        made.set(kind + address, request)
      }
      request.asked.set(key, { reader, generation: reader.requested() })
    }
    for (const { address } of made.values()) this.#count(address, 1)
    return [...made.values()]
  }

  /** A fetch request was answered. */
  fetched(request: ReaderRequest, reply: FetchedReply, now: number): void {
    this.#count(request.address, -1)
    let at = 0
    const told = new Set<PartitionReader>()
    for (const result of reply.results) {
      const bytes = reply.bytes.subarray(at, at + result.bytes)
      at += result.bytes
      const reader = currentReader(request, result)
      if (reader === undefined) continue
      told.add(reader)
      if (result.error === undefined) this.#fill(reader, result, bytes)
      else this.#refused(reader, result, now)
    }
    for (const { reader, generation } of request.asked.values()) {
      if (!told.has(reader) && reader.generation === generation) reader.notFetched()
    }
  }

  /** A locate request was answered. */
  located(request: ReaderRequest, results: readonly LocateResult[], now: number): void {
    this.#count(request.address, -1)
    for (const result of results) {
      const reader = currentReader(request, result)
      if (reader === undefined) continue
      if (result.error === undefined) reader.located(result, result.offset)
      else this.#refused(reader, result, now)
    }
    this.#retryUnanswered(request, now)
  }

  /** A request failed as a whole. */
  failed(request: ReaderRequest, error: MqError, now: number): void {
    this.#count(request.address, -1)
    for (const { reader, generation } of request.asked.values()) {
      if (reader.generation === generation) this.#settleError(reader, error, now)
    }
  }

  /** A topic does not exist any more, or is another one now. */
  topicGone(topic: string, error: MqError): void {
    for (const reader of this.#readers.values()) {
      if (reader.topic === topic) reader.failed(error)
    }
  }

  seeked(reader: PartitionReader): void {
    this.#filled.delete(reader)
  }

  /**
   * Takes messages of partitions that are not paused: up to `most`, from one round of what was fetched, and not many
   * more than `maxBytes`. What cannot be read makes its reader fail.
   */
  take(most: number): TakenMessages[] {
    const taken: TakenMessages[] = []
    let left = most
    let bytes = 0
    for (const reader of [...this.#filled]) {
      if (left <= 0 || bytes >= this.#options.maxBytes) break
      const [records] = reader.ahead
      if (reader.isSilent || records === undefined) continue
      const messages: ReceivedMessage[] = []
      const error = records.read(messages, left)
      bytes += records.bytes
      left -= messages.length
      const next = records.position
      this.#filled.delete(reader)
      if (error === undefined) reader.delivered(next)
      else reader.corrupted(error, next)
      // To the end, so that the others come before its rest.
      if (reader.ahead.length > 0) this.#filled.add(reader)
      if (messages.length > 0) taken.push({ reader, messages, next: reader.position ?? next })
    }
    return taken
  }

  /** Whether `take` would look at something. */
  get hasSome(): boolean {
    for (const reader of this.#filled) if (!reader.isSilent) return true
    return false
  }

  #mayFetch(isAwaited: boolean): boolean {
    let bytes = 0
    for (const { isSilent, ahead } of this.#filled) {
      if (!isSilent) for (const records of ahead) bytes += records.bytes
    }
    return bytes < this.#options.prefetchBytes || (bytes === 0 && isAwaited)
  }

  #wakeFor({ pausedUntil, state, isWithheld }: PartitionReader, now: number): void {
    if (state === 'failed' || isWithheld || pausedUntil <= now) return
    this.#wakesAt = Math.min(this.#wakesAt ?? pausedUntil, pausedUntil)
  }

  #addressOf(reader: PartitionReader): string | undefined {
    const topic = this.#deps.routes.topic(reader.topic)
    const leader =
      topic === undefined ? undefined : this.#deps.routes.leader(topic, reader.partition)
    if (leader === undefined) this.#wantsRoutes = true
    return leader?.address
  }

  #count(address: string, change: number): void {
    this.#inFlight.set(address, (this.#inFlight.get(address) ?? 0) + change)
  }

  #fill(reader: PartitionReader, result: FetchResult, bytes: Uint8Array): void {
    const { topic, topicId, partition, fetchAt: from } = reader
    const place = { topic, topicId, partition, from, next: Math.max(from, result.next) }
    const records =
      bytes.length === 0 ? undefined : new RecordReader({ ...place, bytes }, this.#deps)
    const { low, high } = result
    reader.fetched({ low, high }, result.next, records)
    if (records === undefined) return
    this.#filled.add(reader)
    const key = readerKey(reader)
    this.#readers.delete(key)
    this.#readers.set(key, reader)
  }

  #refused(reader: PartitionReader, result: FetchResult | LocateResult, now: number): void {
    const name = errorName(result.error ?? 0)
    const { low, high } = result
    const { topic, partition, fetchAt } = reader
    const { onOutOfRange } = this.#options
    if (name === 'grant_fenced') {
      // Fetched again at once when the next assignment says that the grant holds.
      reader.notFetched()
      this.#deps.fenced(reader)
      return
    }
    if (name === 'offset_out_of_range' && onOutOfRange !== 'fail') {
      this.#deps.jumped(reader.jump(onOutOfRange === 'earliest' ? low : high, { low, high }))
      return
    }
    const facts = { topic, partition, offset: fetchAt, low, high }
    const what = result.what ?? `partition ${partition} of topic ${topic} cannot be read`
    this.#settleError(reader, new MqError(name, what, { facts }), now)
  }

  #settleError(reader: PartitionReader, error: MqError, now: number): void {
    if (concernsRoute(error)) this.#wantsRoutes = true
    // Only the coordinator knows whether a topic is gone; a connection that this end closed is opened again.
    const mayPass = concernsRoute(error) || error.retriable !== 'no' || error.name === 'closed'
    if (mayPass) reader.failedForNow(now)
    else reader.failed(error)
  }

  #retryUnanswered({ asked }: ReaderRequest, now: number): void {
    for (const { reader, generation } of asked.values()) {
      const isUnanswered = reader.generation === generation && reader.state === 'locating'
      if (isUnanswered && reader.pausedUntil <= now) reader.failedForNow(now)
    }
  }
}
