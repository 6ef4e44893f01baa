import { asMqError, MqError, quoted, type TopicInfo } from '@popmq/protocol'
import type { Message, TopicPartition } from './api/message.ts'
import type { MessageBatch, PartitionPosition, PullConsumer } from './api/pull-consumer.ts'
import type { ReadFrom, ReceiveOptions } from './api/pull-consumer.ts'
import type { TakenMessages } from './core/read-ahead.ts'
import { toBatch } from './message-batch.ts'
import { type PullConsumerConfig, startOf } from './pull-consumer-config.ts'
import { Reading, type ReadingDeps } from './reading.ts'

/** What a user holds who keeps offsets: reads all partitions of its topics, or those named. */
export class PollingConsumer implements PullConsumer {
  readonly #config: PullConsumerConfig
  readonly #deps: ReadingDeps
  readonly #onClosed: () => void
  readonly #reading: Reading
  readonly #unlisten: () => void
  /** Why a topic or partition is not read at all. */
  readonly #missing: MqError[] = []
  readonly #joined: Promise<unknown>

  constructor(config: PullConsumerConfig, deps: ReadingDeps, onClosed: () => void) {
    this.#config = config
    this.#deps = deps
    this.#onClosed = onClosed
    // Readers without a grant are not fenced.
    this.#reading = new Reading(config, deps, () => undefined)
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
    const taken = await this.#reading.receive(options, (most) => this.#take(most))
    return taken.flatMap(({ messages }) => messages)
  }

  async seek(
    at: TopicPartition,
    to: ReadFrom,
    { signal }: { readonly signal?: AbortSignal } = {},
  ): Promise<number> {
    await this.#reading.orClosed(this.#joined, signal)
    return this.#reading.seek(at, to, signal)
  }

  pause(partitions?: readonly TopicPartition[]): void {
    this.#reading.pause(partitions)
  }

  resume(partitions?: readonly TopicPartition[]): void {
    this.#reading.resume(partitions)
  }

  position(topic: string, partition: number): number | undefined {
    return this.#reading.readAhead.find(topic, partition)?.position
  }

  positions(): PartitionPosition[] {
    return this.#reading.positions()
  }

  close(): Promise<void> {
    if (this.#reading.isStopped) return Promise.resolve()
    this.#unlisten()
    this.#reading.stop()
    this.#onClosed()
    return Promise.resolve()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async *#batches(signal: AbortSignal | undefined): AsyncGenerator<MessageBatch, undefined> {
    while (!this.#reading.isStopped && signal?.aborted !== true) {
      const taken = this.#take(Number.POSITIVE_INFINITY)
      if (taken.length > 0) yield toBatch(taken)
      else await this.#reading.progress(undefined, signal)
    }
    return undefined
  }

  /** @returns what there is, without waiting @throws MqError why a partition cannot be read */
  #take(most: number): TakenMessages[] {
    const error = this.#missing[0]
    if (error !== undefined) throw error
    return this.#reading.take(most)
  }

  async #join(name: string): Promise<void> {
    try {
      const topic = await this.#deps.routes.find(name, this.#reading.signal)
      if (topic === undefined)
        throw new MqError('topic_not_found', `there is no topic ${quoted(name)}`)
      for (const partition of this.#wanted(topic)) this.#addReader(topic, partition, false)
    } catch (error) {
      this.#missing.push(asMqError(error))
    }
    this.#reading.schedule()
    this.#reading.progressed()
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

  #addReader(topic: TopicInfo, partition: number, isLate: boolean): void {
    if (this.#reading.readAhead.find(topic.name, partition) !== undefined) return
    const start = isLate ? 'earliest' : startOf(this.#config, { topic: topic.name, partition })
    this.#reading.add({ topic, partition }, start)
  }

  #routesChanged(): void {
    for (const name of this.#config.topics ?? []) {
      const topic = this.#deps.routes.table.topic(name)
      const isJoined = this.#reading.readAhead.find(name, 0)?.topicId === topic?.id
      if (topic === undefined || !isJoined) continue
      for (const partition of topic.sets.keys()) this.#addReader(topic, partition, true)
    }
    this.#reading.schedule()
  }

  #topicGone(name: string): void {
    const what = `topic ${quoted(name)} was deleted while it was read`
    this.#reading.readAhead.topicGone(name, new MqError('topic_not_found', what))
    this.#reading.progressed()
  }
}
