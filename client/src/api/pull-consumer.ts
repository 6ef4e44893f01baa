import type { Message, TopicPartition } from './message.ts'

/**
 * Where to read from: an offset, the first message kept, behind the newest one, or the first message appended at or
 * after a time (behind the newest one when none is that new).
 */
export type ReadFrom = number | 'earliest' | 'latest' | Date

export interface PartitionOffset extends TopicPartition {
  readonly offset: number
}

export interface PullConsumerOptions {
  /** Reads all partitions of these topics; those added later are read from their first message. */
  readonly topics?: readonly string[]
  /** Reads these partitions only. Exactly one of `topics` and `partitions` is given. */
  readonly partitions?: readonly TopicPartition[]
  /** Where to start; a partition that a list leaves out starts at its first message. @defaultValue 'earliest' */
  readonly from?: ReadFrom | readonly PartitionOffset[]
  /**
   * What to do when the next offset is not kept any more, or not there yet: go on at the first or behind the newest
   * message, or fail with `offset_out_of_range`, whose facts name `low` and `high`. Never silent: `onJump` is told.
   * @defaultValue 'fail'
   */
  readonly onOutOfRange?: 'earliest' | 'latest' | 'fail'
  /** Told whenever reading goes on elsewhere because of `onOutOfRange`. */
  readonly onJump?: (jump: Jump) => void
  /** Only messages with one of these tags, 1..64. @defaultValue all messages */
  readonly tags?: readonly string[]
  /** Most record bytes of one reply, 1..67_108_864; one message always fits. @defaultValue 4_194_304 */
  readonly maxBytes?: number
  /** How long a broker may hold a request while nothing is there, in ms, 0..60_000. @defaultValue 20_000 */
  readonly waitMs?: number
  /**
   * Most record bytes that are fetched ahead of the reader, 0..1_073_741_824; a reply that is under way may exceed it
   * by `maxBytes`. @defaultValue 16_777_216
   */
  readonly prefetchBytes?: number
}

/** Reading left the order of offsets: the offsets from `from` up to `to` were not delivered, or are delivered again. */
export interface Jump extends TopicPartition {
  readonly from: number
  readonly to: number
  /** The bounds that the broker named: the first offset kept, and the next one to be visible. */
  readonly low: number
  readonly high: number
}

/** What was fetched, of each partition at most what one reply brought: at least one message, in order per partition. */
export interface MessageBatch {
  readonly messages: readonly Message[]
  /** The same messages by partition. */
  readonly partitions: readonly PartitionMessages[]
}

export interface PartitionMessages extends TopicPartition {
  readonly messages: readonly Message[]
  /** The offset to read on at once these are done: what a user who keeps offsets stores. */
  readonly next: number
}

export interface ReceiveOptions {
  /** Most messages, 1..100_000. @defaultValue 1_000 */
  readonly max?: number
  /** How long to wait for the first message, in ms, 0..86_400_000. @defaultValue the consumer's `waitMs` */
  readonly waitMs?: number
  /** Stops waiting: rejects with `aborted`; no message is lost. */
  readonly signal?: AbortSignal
}

/**
 * Reads partitions at offsets that the user keeps; nothing is committed. Reconnects and follows moved partitions by
 * itself. Read either by `for await`, or by `receive`, one reader at a time.
 *
 * Errors while reading: `topic_not_found`, `partition_not_found`, `offset_out_of_range`, `corrupt_record` (naming topic,
 * partition and offset; seek beyond it to go on), `closed`, `aborted`. What can mend itself is waited for.
 */
export interface PullConsumer extends AsyncDisposable, AsyncIterable<MessageBatch> {
  /** Batches as they come, until the consumer is closed. Leaving the loop does not close the consumer. */
  [Symbol.asyncIterator](): AsyncIterator<MessageBatch, undefined>
  /** Batches as they come, until the consumer is closed or `signal` is aborted: both end the loop without an error. */
  batches(options?: { readonly signal?: AbortSignal }): AsyncIterable<MessageBatch>
  /** The next messages, at most `max`. @returns `[]` when none came within `waitMs` */
  receive(options?: ReceiveOptions): Promise<Message[]>
  /**
   * Goes on elsewhere; what was fetched ahead is dropped. Resolves with the offset that will be read next: at once for
   * an offset, else when a broker told it.
   * @throws MqError `invalid_request` for a partition that is not read, `aborted`, `closed`
   */
  seek(
    at: TopicPartition,
    to: ReadFrom,
    options?: { readonly signal?: AbortSignal },
  ): Promise<number>
  /** Delivers nothing of these partitions until `resume`. Absent: all. */
  pause(partitions?: readonly TopicPartition[]): void
  /** Delivers again. Absent: all. */
  resume(partitions?: readonly TopicPartition[]): void
  /** The offset behind the last message delivered. @returns undefined before the first position is known */
  position(topic: string, partition: number): number | undefined
  /**
   * Of every partition: where reading stands, and the bounds that its broker named last (undefined until it did).
   * Reading has caught up where `position` equals `high`.
   */
  positions(): PartitionPosition[]
  /** Stops. A waiting `receive` rejects with `closed`, a loop ends. May be called twice. */
  close(): Promise<void>
}

export interface PartitionPosition extends TopicPartition {
  readonly position: number | undefined
  readonly low: number | undefined
  readonly high: number | undefined
}
