import { Backoff, type Random } from '@popmq/kit'
import type { Checksum, TopicInfo } from '@popmq/protocol'
import { MqError } from '@popmq/protocol'
import { abortable, aborted, onAbort } from './aborting.ts'
import type { TopicPartition } from './api/message.ts'
import type { PartitionPosition, ReadFrom, ReceiveOptions } from './api/pull-consumer.ts'
import { notRead, PartitionReader, type ReaderGrant } from './core/partition-reader.ts'
import { ReadAhead, type TakenMessages } from './core/read-ahead.ts'
import { tagFilter } from './core/record-reader.ts'
import { FetchLoop, type FetchLoopDeps } from './fetch-loop.ts'
import { checkRange } from './options.ts'
import { checkReadFrom, type PullConsumerConfig } from './pull-consumer-config.ts'

export interface ReadingDeps extends Omit<FetchLoopDeps, 'readAhead' | 'progressed'> {
  readonly random: Random
  readonly crc32: Checksum
}

export type ReadingConfig = Pick<
  PullConsumerConfig,
  'tags' | 'onOutOfRange' | 'onJump' | 'maxBytes' | 'waitMs' | 'prefetchBytes'
>

export interface ReaderPlace {
  readonly topic: TopicInfo
  readonly partition: number
  readonly grant?: ReaderGrant
}

const retryPause = { firstMs: 50, mostMs: 2_000 }
const receiveDefaults = { max: 1_000 }

/**
 * What consumers of all kinds share: reads partitions ahead, and waits where there is nothing to take. Which partitions
 * these are is its owner's matter.
 */
export class Reading {
  readonly readAhead: ReadAhead
  readonly #loop: FetchLoop
  readonly #config: ReadingConfig
  readonly #deps: ReadingDeps
  readonly #closing = new AbortController()
  readonly #waiting = new Set<() => void>()

  constructor(config: ReadingConfig, deps: ReadingDeps, fenced: (reader: PartitionReader) => void) {
    this.#config = config
    this.#deps = deps
    const filter = config.tags === undefined ? undefined : tagFilter(config.tags)
    this.readAhead = new ReadAhead(config, {
      crc32: deps.crc32,
      filter,
      routes: deps.routes.table,
      fenced,
      jumped: (jump) => {
        // In a turn of its own: what it throws is the user's.
        queueMicrotask(() => config.onJump?.(jump))
      },
    })
    this.#loop = new FetchLoop(
      { ...config, filter },
      { ...deps, readAhead: this.readAhead, progressed: () => this.progressed() },
    )
  }

  /** Aborted by `stop`. */
  get signal(): AbortSignal {
    return this.#closing.signal
  }

  get isStopped(): boolean {
    return this.#closing.signal.aborted
  }

  add({ topic, partition, grant }: ReaderPlace, start: ReadFrom): PartitionReader {
    const backoff = new Backoff(this.#deps.random, retryPause)
    const place = { topic: topic.name, topicId: topic.id, partition, backoff, grant }
    const reader = new PartitionReader(place, start)
    this.readAhead.add(reader)
    return reader
  }

  remove(reader: PartitionReader): void {
    this.readAhead.remove(reader)
    this.#loop.schedule()
  }

  schedule(): void {
    this.#loop.schedule()
  }

  /** Something changed: whoever waits looks again. */
  progressed(): void {
    for (const wake of [...this.#waiting]) wake()
  }

  /** Resolves when something changed, after `timeoutMs`, or when `signal` is aborted. */
  progress(timeoutMs: number | undefined, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        timer?.cancel()
        stopListening()
        this.#waiting.delete(wake)
        resolve()
      }
      const timer =
        timeoutMs === undefined ? undefined : this.#deps.clock.after(Math.max(1, timeoutMs), wake)
      const stopListening = onAbort(signal, wake)
      this.#waiting.add(wake)
    })
  }

  /** @returns what there is, without waiting @throws MqError why a partition cannot be read */
  take(most: number): TakenMessages[] {
    const { error } = this.readAhead
    if (error !== undefined) throw error
    let taken: TakenMessages[] = []
    while (taken.length === 0 && this.readAhead.hasSome) taken = this.readAhead.take(most)
    const cannotRead = taken.length === 0 ? this.readAhead.error : undefined
    if (cannotRead !== undefined) throw cannotRead
    this.#loop.isAwaited = taken.length === 0
    this.#loop.schedule()
    return taken
  }

  /** What `take` gives, waiting for the first message. @throws MqError `closed`, `aborted`, what `take` throws */
  async receive<T>(options: ReceiveOptions, take: (most: number) => T[]): Promise<T[]> {
    const { max, waitMs, signal } = { ...receiveDefaults, waitMs: this.#config.waitMs, ...options }
    checkRange('max', max, [1, 100_000])
    checkRange('waitMs', waitMs, [0, 86_400_000])
    const { clock } = this.#deps
    const endsAt = clock.monotonic() + waitMs
    for (;;) {
      if (this.isStopped) throw closed()
      if (signal?.aborted === true) throw aborted(signal)
      const taken = take(max)
      if (taken.length > 0) return taken
      const leftMs = endsAt - clock.monotonic()
      if (leftMs <= 0) return []
      await this.progress(leftMs, signal)
    }
  }

  /** @throws MqError `invalid_request`, `aborted`, `closed` */
  seek(at: TopicPartition, to: ReadFrom, signal: AbortSignal | undefined): Promise<number> {
    checkReadFrom(to)
    const reader = this.reader(at)
    reader.seek(to)
    this.readAhead.seeked(reader)
    this.#loop.schedule()
    const located = new Promise<number>((resolve, reject) => {
      reader.whenLocated((told) => (typeof told === 'number' ? resolve(told) : reject(told)))
    })
    return this.orClosed(located, signal)
  }

  pause(partitions: readonly TopicPartition[] | undefined): void {
    for (const reader of this.#named(partitions)) reader.isPaused = true
  }

  resume(partitions: readonly TopicPartition[] | undefined): void {
    for (const reader of this.#named(partitions)) reader.isPaused = false
    this.progressed()
    this.#loop.schedule()
  }

  positions(): PartitionPosition[] {
    const all = [...this.readAhead.readers].map(({ topic, partition, position, bounds }) => {
      return { topic, partition, position, low: bounds?.low, high: bounds?.high }
    })
    return all.sort(byPlace)
  }

  /** @throws MqError `invalid_request` for a partition that is not read */
  reader(at: TopicPartition): PartitionReader {
    const reader = this.readAhead.find(at.topic, at.partition)
    if (reader === undefined) throw notRead(at)
    return reader
  }

  async orClosed<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    try {
      return await abortable(abortable(promise, this.#closing.signal), signal)
    } catch (error) {
      throw this.isStopped ? closed() : error
    }
  }

  stop(): void {
    this.#closing.abort()
    this.#loop.stop()
    this.progressed()
  }

  #named(partitions: readonly TopicPartition[] | undefined): PartitionReader[] {
    if (partitions === undefined) return [...this.readAhead.readers]
    return partitions.map((at) => this.reader(at))
  }
}

/** By topic, then by number. */
export function byPlace(a: TopicPartition, b: TopicPartition): number {
  if (a.topic !== b.topic) return a.topic < b.topic ? -1 : 1
  return a.partition - b.partition
}

export function closed(): MqError {
  return new MqError('closed', 'the consumer is closed')
}
