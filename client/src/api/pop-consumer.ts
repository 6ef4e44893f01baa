import type { Failure, MqError, PopReason, SettleResult } from '@popmq/protocol'
import type { Message } from './message.ts'
import type { PartitionOffset, ReadFrom } from './pull-consumer.ts'

export interface PopConsumerOptions {
  /** The group that pops; made by its first use. */
  readonly group: string
  /** The topics that are popped, 1..1_000. A group reads a topic in one way: pull, broadcast or pop. */
  readonly topics: readonly string[]
  /** Only messages with one of these tags, 1..64; all consumers of the group must agree. @defaultValue all messages */
  readonly tags?: readonly string[]
  /**
   * Where the group begins a topic that it never read; an offset beyond a partition's bounds is moved to the nearer
   * one. A group that has read the topic goes on where it is. @defaultValue 'earliest'
   */
  readonly from?: ReadFrom | readonly PartitionOffset[]
  /**
   * How long a popped message is hidden from the rest of the group, in ms, 1..43_200_000; also what `extend` goes by.
   * @defaultValue as the group's policy says (`invisible`, 30 s)
   */
  readonly invisibleMs?: number
  /**
   * A name for people and for the limit of messages in flight per consumer, at most 256 bytes.
   * @defaultValue the client's name and a random end
   */
  readonly consumer?: string
  /** Most record bytes of one answer, 1..67_108_864; one message always fits. @defaultValue 4_194_304 */
  readonly maxBytes?: number
  /** How long `receive` waits unless told, in ms, 0..86_400_000. @defaultValue 20_000 */
  readonly waitMs?: number
  /**
   * How long ack, nack, extend and release are tried before a handle is `failed`, in ms, 1..900_000.
   * @defaultValue 10_000
   */
  readonly settleWithinMs?: number
}

/**
 * A message under a lease: nobody else of the group gets it until `leasedUntil`. For a message that is delivered again,
 * topic, partition, offset and `appendedAt` are those of the message as it was sent.
 */
export interface PoppedMessage extends Message {
  /** Names this delivery: text that any process may keep, pass on, and settle by. */
  readonly handle: string
  /** When the lease is over unless it is extended, by the broker's clock, in ms since 1970. */
  readonly leasedUntil: number
}

export interface PopReceiveOptions {
  /** Most messages, 1..10_000. @defaultValue 32 */
  readonly max?: number
  /**
   * How long to wait for the first message, in ms, 0..86_400_000. With 0 each broker is asked once.
   * @defaultValue the consumer's `waitMs`
   */
  readonly waitMs?: number
  /** As the consumer's `invisibleMs`, for these messages. */
  readonly invisibleMs?: number
  /** Most record bytes, as the consumer's `maxBytes`. */
  readonly maxBytes?: number
  /** Stops waiting: rejects with `aborted`. Messages that arrive all the same are released. */
  readonly signal?: AbortSignal
}

/** What a delivery is named by. */
export type Handle = string | Pick<PoppedMessage, 'handle'>

/** One delivery, or many. */
export type Handles = Handle | readonly Handle[]

/**
 * What became of one handle:
 *   acked      done with, durably
 *   retrying   given back durably, to be delivered again after its back-off or delay
 *   dead       given up, durably: it is among the group's dead letters
 *   extended   hidden for longer
 *   released   visible again at once; the delivery counts as no attempt
 *   already    nothing was done: the message was settled before. Where a first answer was lost that may have been this very
 *              call; an ack is told as acked then, unless the lease of a message that was given was over meanwhile
 *   expired    nothing was done: the lease was over, and the message was handed out again or the group was reset
 *   unknown    the handle names nothing that is there, or is damaged
 *   foreign    the handle is another group's
 *   failed     the broker gave no answer within `settleWithinMs`, or refused: see `error`; unless the lease ends before,
 *              the same call may be made again, and it may have been done
 */
export interface Settled {
  readonly handle: string
  readonly result: SettleResult | 'failed'
  /** Of an extension: when the lease is over now, by the broker's clock, in ms since 1970. */
  readonly leasedUntil?: number
  /** Why it failed. */
  readonly error?: MqError
}

export interface SettleOptions {
  /** Stops waiting: rejects with `aborted`; it may be done all the same. */
  readonly signal?: AbortSignal
}

export interface NackOptions extends SettleOptions {
  /**
   * Why: an Error (name, message with that of its first cause, and stack are told), a text, or `{ type, message, stack }`.
   * Type is shortened to 256 bytes, message and stack to 8_192 each. It is seen with the retry and the dead letter, and
   * groups dead letters. @defaultValue no error is told
   */
  readonly error?: unknown
  /** When it is to be delivered again, in ms from now, 0..31_622_400_000. @defaultValue by the group's back-off */
  readonly delayMs?: number
  /** False: trying again is of no use, it goes to the dead letters at once. @defaultValue true */
  readonly retriable?: boolean
}

export interface ExtendOptions extends SettleOptions {
  /** Hidden so long from now, in ms, 1..43_200_000. @defaultValue the consumer's `invisibleMs`, else the group's policy */
  readonly invisibleMs?: number
}

/** A failure as it may be given to `nack` and is kept with the message. */
export type { Failure, PopReason, SettleResult }

/**
 * Pops messages of a group: each is leased to whoever popped it, and comes again unless it is acked in time. It keeps no
 * state of its own: any process may settle what another popped, and any number of consumers may share a group.
 *
 * Errors of `receive`: `topic_not_found`, `subscription_conflict`, `group_not_found` (the group was deleted again and
 * again), `invalid_request`, `invalid_name`, `corrupt_record` (once, after what came whole was delivered; the lease of the
 * damaged message runs out), `closed`, `aborted`; and when no broker at all answered within `waitMs` the last error of
 * trying (`unreachable`, `timed_out`, `no_brokers`, …). After each of them, `closed` apart, `receive` may be called again.
 *
 * Errors of `ack`, `nack`, `extend`, `release`: `invalid_request` for an option out of its range, `aborted`, `closed`.
 * What happens to a handle is a result, never an error.
 */
export interface PopConsumer extends AsyncDisposable, AsyncIterable<readonly PoppedMessage[]> {
  /**
   * What comes, 32 at a time, until the consumer is closed; outages are waited for. Nothing is acked by itself, and
   * leaving the loop does not close the consumer.
   */
  [Symbol.asyncIterator](): AsyncIterator<readonly PoppedMessage[], undefined>
  /**
   * The next messages, at most `max`, of any partitions: whatever the first broker that has some gives, so there may be
   * more. Many calls may be under way at once.
   * @returns `[]` when none came within `waitMs`; `lastReason` may tell why
   */
  receive(options?: PopReceiveOptions): Promise<readonly PoppedMessage[]>
  /**
   * Why the broker that answered last gave fewer messages than asked for, when that is not for want of messages: the
   * group is `paused` in the topic, or has as many messages in flight as its policy allows, in all (`in_flight_limit`) or
   * for this consumer (`consumer_in_flight_limit`). @returns undefined when there was no such reason
   */
  readonly lastReason: PopReason | undefined
  /** Done with these. Durable when `acked`. @returns one result per handle, in the order given; `[]` for none */
  ack(handles: Handles, options?: SettleOptions): Promise<Settled[]>
  /** These failed: each is delivered again later, or is dead after `maxAttempts`. @returns as `ack` */
  nack(handles: Handles, options?: NackOptions): Promise<Settled[]>
  /** Hides these for longer. @returns as `ack`, with the new end of each lease */
  extend(handles: Handles, options?: ExtendOptions): Promise<Settled[]>
  /** Gives these back: visible at once, and this delivery counts as no attempt. @returns as `ack` */
  release(handles: Handles, options?: SettleOptions): Promise<Settled[]>
  /**
   * Stops. A waiting `receive` rejects with `closed`, a loop ends, messages that arrive after it are released; calls that
   * settle are finished first. May be called twice.
   */
  close(): Promise<void>
}
