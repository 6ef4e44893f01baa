import { assert, type Backoff } from '@popmq/kit'
import { type FetchedPartition, MqError, quoted, type TopicId } from '@popmq/protocol'
import type { Jump, ReadFrom } from '../api/pull-consumer.ts'
import type { RecordReader } from './record-reader.ts'

export interface PartitionReaderDeps {
  readonly topic: string
  readonly topicId: TopicId
  readonly partition: number
  readonly backoff: Backoff
  /** By what right it is read, when it is read for a group. */
  readonly grant?: ReaderGrant | undefined
}

export type ReaderGrant = NonNullable<FetchedPartition['grant']>

/** The bounds of a partition, as a broker named them. */
export interface Bounds {
  readonly low: number
  readonly high: number
}

/**
 * Where reading of one partition stands:
 *   locating   its next offset is not known yet: a broker must be asked what the start stands for → reading
 *   reading    `fetchAt` is the next offset to fetch; fetched records wait in `ahead`
 *   failed     nothing is fetched, and each read fails with the error, until a seek
 * A seek leads from each to locating or reading, and makes answers to older requests void: they carry the generation of
 * their request.
 */
export class PartitionReader {
  readonly topic: string
  readonly topicId: TopicId
  readonly partition: number
  readonly grant: ReaderGrant | undefined
  readonly #backoff: Backoff
  readonly ahead: RecordReader[] = []
  #generation = 0
  #state: 'locating' | 'reading' | 'failed' = 'locating'
  #start: ReadFrom = 'earliest'
  #fetchAt = 0
  #position: number | undefined
  #bounds: Bounds | undefined
  #error: MqError | undefined
  #isUnderWay = false
  #pausedUntil = 0
  #awaiting: ((located: number | MqError) => void)[] = []
  /** The user wants nothing of it for now. */
  isPaused = false
  /** Nothing of it may be fetched or delivered: its grant may not hold, or its group is paused. */
  isWithheld = false

  constructor(deps: PartitionReaderDeps, start: ReadFrom) {
    this.topic = deps.topic
    this.topicId = deps.topicId
    this.partition = deps.partition
    this.grant = deps.grant
    this.#backoff = deps.backoff
    this.seek(start)
  }

  get generation(): number {
    return this.#generation
  }

  get state(): 'locating' | 'reading' | 'failed' {
    return this.#state
  }

  get start(): ReadFrom {
    return this.#start
  }

  get fetchAt(): number {
    return this.#fetchAt
  }

  /** The offset behind the last message delivered. */
  get position(): number | undefined {
    return this.#position
  }

  get bounds(): Bounds | undefined {
    return this.#bounds
  }

  get error(): MqError | undefined {
    return this.#error
  }

  /** When requests go on after a failure, on the monotonic clock. */
  get pausedUntil(): number {
    return this.#pausedUntil
  }

  /** Nothing of it is to be delivered for now. */
  get isSilent(): boolean {
    return this.isPaused || this.isWithheld
  }

  /** Whether a request may be made for it. */
  isFree(now: number): boolean {
    if (this.isWithheld || this.#state === 'failed' || this.#isUnderWay || this.#pausedUntil > now)
      return false
    return !this.isPaused || this.ahead.length === 0
  }

  /** @returns the generation that its answer must bear */
  requested(): number {
    this.#isUnderWay = true
    return this.#generation
  }

  seek(to: ReadFrom): void {
    this.#generation += 1
    this.#isUnderWay = false
    this.#pausedUntil = 0
    this.#error = undefined
    this.#position = undefined
    this.ahead.length = 0
    this.#start = to
    this.#state = 'locating'
    if (typeof to === 'number') this.#readAt(to)
  }

  /** It is not read any more: what was fetched is dropped, answers under way are void. */
  drop(error: MqError): void {
    this.#generation += 1
    this.ahead.length = 0
    this.failed(error)
  }

  /** Calls `told` with the offset that will be read next, now or when it is known, or with why it is not. */
  whenLocated(told: (located: number | MqError) => void): void {
    if (this.#state === 'locating') this.#awaiting.push(told)
    else told(this.#error ?? this.#fetchAt)
  }

  /** A broker told where the start lies. */
  located(bounds: Bounds, atTime: number | undefined): void {
    this.#answered()
    this.#bounds = bounds
    if (this.#start === 'earliest') this.#readAt(bounds.low)
    else this.#readAt(this.#start === 'latest' ? bounds.high : (atTime ?? bounds.high))
  }

  /** A reply had something to tell: `records` when there were bytes. */
  fetched(bounds: Bounds, next: number, records: RecordReader | undefined): void {
    this.#answered()
    this.#bounds = bounds
    if (records !== undefined) this.ahead.push(records)
    this.#fetchAt = Math.max(this.#fetchAt, next)
    if (this.ahead.length === 0) this.#position = this.#fetchAt
  }

  /** A reply had nothing of it. */
  notFetched(): void {
    this.#answered()
  }

  /** A request failed in a way that may pass. */
  failedForNow(now: number): void {
    this.#isUnderWay = false
    this.#pausedUntil = now + this.#backoff.nextMs()
  }

  failed(error: MqError): void {
    this.#isUnderWay = false
    this.#state = 'failed'
    this.#error = error
    this.#tell(error)
  }

  /** Goes on at another offset than the next. */
  jump(to: number, bounds: Bounds): Jump {
    const from = this.#fetchAt
    this.#answered()
    this.#bounds = bounds
    this.#fetchAt = to
    if (this.ahead.length === 0) this.#position = to
    const { topic, partition } = this
    return { topic, partition, from, to, ...bounds }
  }

  /** What was read ahead was delivered up to `position`. */
  delivered(position: number): void {
    this.#position = position
    while (this.ahead[0]?.isDone === true) this.ahead.shift()
    if (this.ahead.length === 0) this.#position = this.#fetchAt
  }

  /** What was read ahead cannot be delivered: drops it. */
  corrupted(error: MqError, position: number): void {
    this.ahead.length = 0
    this.#fetchAt = position
    this.#position = position
    this.#generation += 1
    this.failed(error)
  }

  #answered(): void {
    this.#isUnderWay = false
    this.#backoff.reset()
  }

  #readAt(at: number): void {
    assert(this.#state === 'locating', 'a start is resolved once')
    this.#state = 'reading'
    this.#fetchAt = at
    this.#position = at
    this.#tell(at)
  }

  #tell(located: number | MqError): void {
    const awaiting = this.#awaiting
    this.#awaiting = []
    for (const told of awaiting) told(located)
  }
}

/** Why nothing can be asked of a partition. */
export function notRead({ topic, partition }: { topic: string; partition: number }): MqError {
  const what = `partition ${partition} of topic ${quoted(topic)} is not read by this consumer`
  return new MqError('invalid_request', what)
}
