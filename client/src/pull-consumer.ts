import { Backoff, type Random } from '@popmq/kit'
import { asMqError, type Checksum, MqError, quoted, type TopicInfo } from '@popmq/protocol'
import { abortable, aborted } from './aborting.ts'
import type { Message, TopicPartition } from './api/message.ts'
import type { MessageBatch, PartitionPosition, PullConsumer } from './api/pull-consumer.ts'
import type { ReadFrom, ReceiveOptions } from './api/pull-consumer.ts'
import { PartitionReader } from './core/partition-reader.ts'
import { ReadAhead, type TakenMessages } from './core/read-ahead.ts'
import { tagFilter } from './core/record-reader.ts'
import { FetchLoop, type FetchLoopDeps } from './fetch-loop.ts'
import { checkRange } from './options.ts'
import { checkReadFrom, type PullConsumerConfig, startOf } from './pull-consumer-config.ts'

export interface PullConsumerDeps extends Omit<FetchLoopDeps, 'readAhead' | 'progressed'> {
  readonly random: Random
  readonly crc32: Checksum
}

const retryPause = { firstMs: 50, mostMs: 2_000 }
const receiveDefaults = { max: 1_000 }

/** What a user holds: takes from the read-ahead, and waits where there is nothing to take. */
export class PollingConsumer implements PullConsumer {
  readonly #config: PullConsumerConfig
  readonly #deps: PullConsumerDeps
  readonly #onClosed: () => void
  readonly #readAhead: ReadAhead
  readonly #loop: FetchLoop
  readonly #unlisten: () => void
  readonly #closing = new AbortController()
  /** Why a topic or partition is not read at all. */
  readonly #missing: MqError[] = []
  readonly #joined: Promise<unknown>
  readonly #waiting = new Set<() => void>()

  constructor(config: PullConsumerConfig, deps: PullConsumerDeps, onClosed: () => void) {
    this.#config = config
    this.#deps = deps
    this.#onClosed = onClosed
    const filter = config.tags === undefined ? undefined : tagFilter(config.tags)
    this.#readAhead = new ReadAhead(config, {
      crc32: deps.crc32,
      filter,
      routes: deps.routes.table,
      jumped: (jump) => {
        // In a turn of its own: what it throws is the user's.
        queueMicrotask(() => config.onJump?.(jump))
      },
    })
    this.#loop = new FetchLoop(
      { ...config, filter },
      { ...deps, readAhead: this.#readAhead, progressed: () => this.#progressed() },
    )
    this.#unlisten = deps.routes.listen({
      routesChanged: () => this.#routesChanged(),
      topicGone: (name) => this.#topicGone(name),
    })
    const topics = new Set(config.topics ?? config.partitions?.map(({ topic }) => topic))
    this.#joined = Promise.all([...topics].map((name) => this.#join(name)))
  }

  [Symbol.asyncIterator](): AsyncIterator<MessageBatch, undefined> {
    return this.#batches(undefined)
  }

  batches({ signal }: { readonly signal?: AbortSignal } = {}): AsyncIterable<MessageBatch> {
    return this.#batches(signal)
  }

  async receive(options: ReceiveOptions = {}): Promise<Message[]> {
    const { max, waitMs, signal } = { ...receiveDefaults, waitMs: this.#config.waitMs, ...options }
    checkRange('max', max, [1, 100_000])
    checkRange('waitMs', waitMs, [0, 86_400_000])
    const { clock } = this.#deps
    const endsAt = clock.monotonic() + waitMs
    for (;;) {
      if (this.#closing.signal.aborted) throw closed()
      if (signal?.aborted === true) throw aborted(signal)
      const taken = this.#take(max)
      if (taken.length > 0) return taken.flatMap(({ messages }) => messages)
      const leftMs = endsAt - clock.monotonic()
      if (leftMs <= 0) return []
      await this.#progress(leftMs, signal)
    }
  }

  async seek(
    at: TopicPartition,
    to: ReadFrom,
    { signal }: { readonly signal?: AbortSignal } = {},
  ): Promise<number> {
    checkReadFrom(to)
    await this.#orClosed(this.#joined, signal)
    const reader = this.#reader(at)
    reader.seek(to)
    this.#readAhead.seeked(reader)
    this.#loop.schedule()
    const located = new Promise<number>((resolve, reject) => {
      reader.whenLocated((told) => (typeof told === 'number' ? resolve(told) : reject(told)))
    })
    return this.#orClosed(located, signal)
  }

  pause(partitions?: readonly TopicPartition[]): void {
    for (const reader of this.#named(partitions)) reader.isPaused = true
  }

  resume(partitions?: readonly TopicPartition[]): void {
    for (const reader of this.#named(partitions)) reader.isPaused = false
    this.#progressed()
    this.#loop.schedule()
  }

  position(topic: string, partition: number): number | undefined {
    return this.#readAhead.find(topic, partition)?.position
  }

  positions(): PartitionPosition[] {
    const all = [...this.#readAhead.readers].map(({ topic, partition, position, bounds }) => {
      return { topic, partition, position, low: bounds?.low, high: bounds?.high }
    })
    return all.sort((a, b) => compare(a.topic, b.topic) || a.partition - b.partition)
  }

  close(): Promise<void> {
    if (this.#closing.signal.aborted) return Promise.resolve()
    this.#closing.abort()
    this.#unlisten()
    this.#loop.stop()
    this.#progressed()
    this.#onClosed()
    return Promise.resolve()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async *#batches(signal: AbortSignal | undefined): AsyncGenerator<MessageBatch, undefined> {
    while (!this.#closing.signal.aborted && signal?.aborted !== true) {
      const taken = this.#take(Number.POSITIVE_INFINITY)
      if (taken.length > 0) yield toBatch(taken)
      else await this.#progress(undefined, signal)
    }
    return undefined
  }

  /** @returns what there is, without waiting @throws MqError why a partition cannot be read */
  #take(most: number): TakenMessages[] {
    const error = this.#missing[0] ?? this.#readAhead.error
    if (error !== undefined) throw error
    let taken: TakenMessages[] = []
    while (taken.length === 0 && this.#readAhead.hasSome) taken = this.#readAhead.take(most)
    const cannotRead = taken.length === 0 ? this.#readAhead.error : undefined
    if (cannotRead !== undefined) throw cannotRead
    this.#loop.isAwaited = taken.length === 0
    this.#loop.schedule()
    return taken
  }

  /** Resolves when something changed, after `timeoutMs`, or when `signal` is aborted. */
  #progress(timeoutMs: number | undefined, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        timer?.cancel()
        signal?.removeEventListener('abort', wake)
        this.#waiting.delete(wake)
        resolve()
      }
      const timer =
        timeoutMs === undefined ? undefined : this.#deps.clock.after(Math.max(1, timeoutMs), wake)
      signal?.addEventListener('abort', wake, { once: true })
      this.#waiting.add(wake)
    })
  }

  #progressed(): void {
    for (const wake of [...this.#waiting]) wake()
  }

  async #join(name: string): Promise<void> {
    try {
      const topic = await this.#deps.routes.find(name, this.#closing.signal)
      if (topic === undefined)
        throw new MqError('topic_not_found', `there is no topic ${quoted(name)}`)
      for (const partition of this.#wanted(topic)) this.#addReader(topic, partition, false)
    } catch (error) {
      this.#missing.push(asMqError(error))
    }
    this.#loop.schedule()
    this.#progressed()
  }

  /** The partitions of a topic that are to be read. @throws MqError `partition_not_found` */
  #wanted({ name, sets }: TopicInfo): number[] {
    const { partitions } = this.#config
    if (partitions === undefined) return [...sets.keys()]
    const wanted = partitions
      .filter(({ topic }) => topic === name)
      .map(({ partition }) => partition)
    const missing = wanted.find((partition) => partition >= sets.length)
    if (missing === undefined) return wanted
    const what = `topic ${quoted(name)} has ${sets.length} partitions, there is no partition ${missing}`
    throw new MqError('partition_not_found', what)
  }

  #addReader({ name, id }: TopicInfo, partition: number, isLate: boolean): void {
    if (this.#readAhead.find(name, partition) !== undefined) return
    const backoff = new Backoff(this.#deps.random, retryPause)
    const start = isLate ? 'earliest' : startOf(this.#config, { topic: name, partition })
    const place = { topic: name, topicId: id, partition, backoff }
    this.#readAhead.add(new PartitionReader(place, start))
  }

  #routesChanged(): void {
    for (const name of this.#config.topics ?? []) {
      const topic = this.#deps.routes.table.topic(name)
      const isJoined = this.#readAhead.find(name, 0)?.topicId === topic?.id
      if (topic === undefined || !isJoined) continue
      for (const partition of topic.sets.keys()) this.#addReader(topic, partition, true)
    }
    this.#loop.schedule()
  }

  #topicGone(name: string): void {
    const what = `topic ${quoted(name)} was deleted while it was read`
    this.#readAhead.topicGone(name, new MqError('topic_not_found', what))
    this.#progressed()
  }

  #named(partitions: readonly TopicPartition[] | undefined): PartitionReader[] {
    if (partitions === undefined) return [...this.#readAhead.readers]
    return partitions.map((at) => this.#reader(at))
  }

  /** @throws MqError `invalid_request` */
  #reader({ topic, partition }: TopicPartition): PartitionReader {
    const reader = this.#readAhead.find(topic, partition)
    if (reader !== undefined) return reader
    const what = `partition ${partition} of topic ${quoted(topic)} is not read by this consumer`
    throw new MqError('invalid_request', what)
  }

  async #orClosed<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    try {
      return await abortable(abortable(promise, this.#closing.signal), signal)
    } catch (error) {
      throw this.#closing.signal.aborted ? closed() : error
    }
  }
}

function toBatch(taken: readonly TakenMessages[]): MessageBatch {
  const partitions = taken.map(({ reader: { topic, partition }, messages, next }) => {
    return { topic, partition, messages, next }
  })
  return { messages: partitions.flatMap(({ messages }) => messages), partitions }
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b)
}

function closed(): MqError {
  return new MqError('closed', 'the consumer is closed')
}
