import type { Message, TopicPartition } from './message.ts'
import type { MessageBatch, PartitionOffset, PullConsumer } from './pull-consumer.ts'
import type { PullConsumerOptions, ReadFrom } from './pull-consumer.ts'

/** Those of a consumer without a group that mean the same, and those of membership. */
export interface GroupConsumerOptions extends Omit<PullConsumerOptions, 'topics' | 'partitions'> {
  /** The group that this consumer is a member of; made by its first member. */
  readonly group: string
  /** The topics that the group reads, 1..1_000. Members that live must read a topic with the same `tags` and mode. */
  readonly topics: readonly string[]
  /**
   * Every member reads all partitions, instead of sharing them. Progress is kept for members with a name (`member`);
   * one without begins at `from` each time, and commits nothing. @defaultValue false
   */
  readonly broadcast?: boolean
  /**
   * A name, as those of groups, that stays over restarts: the partitions of the member wait for it until its session is over.
   * Two that live cannot have one name: `member_in_use`. @defaultValue none
   */
  readonly member?: string
  /**
   * Where the group begins a topic that it never read; an offset beyond a partition's bounds is moved to the nearer
   * one. A group that has read the topic goes on at its progress. @defaultValue 'earliest'
   */
  readonly from?: ReadFrom | readonly PartitionOffset[]
  /**
   * `auto` commits what was handled, by itself; `manual` commits what `commit` names. A message is handled when the
   * next ones are asked for: the loop comes around or ends by itself, or `receive` is called again. A loop that was left
   * by an error or `break`, and a consumer that is closed before it was asked again, commit nothing of the last batch.
   * @defaultValue 'auto'
   */
  readonly commit?: 'auto' | 'manual'
  /**
   * Whether it is given messages that failed and are delivered again: under a lease of their own, which is kept until they
   * are committed. One that is in hand when the consumer closes comes again when its lease is over, and has used up an
   * attempt. @defaultValue true
   */
  readonly retries?: boolean
  /** How often `auto` commits, in ms, 10..600_000; also before a partition is given back. @defaultValue 1_000 */
  readonly autoCommitMs?: number
  /**
   * How long the member keeps a partition that is taken from it, to finish what it has of it, in ms, 0..590_000.
   * @defaultValue 10_000
   */
  readonly drainMs?: number
  /** Told of partitions that it was given; their messages come after it returned. */
  readonly onAssign?: (partitions: readonly TopicPartition[]) => void
  /**
   * Told of partitions that are taken from it, or that it gives back on `close`: no further messages of them come. They
   * are kept until what it returns is settled and, with `auto`, the batch in hand is handled; with `manual` and without
   * this callback until all that was delivered is committed. After `drainMs` they are given back all the same, and
   * `signal` is aborted, as it is when they are lost. What it throws is not caught.
   */
  readonly onRevoke?: (
    partitions: readonly TopicPartition[],
    signal: AbortSignal,
  ) => void | Promise<void>
  /** Told of partitions that are not its own any more, without a chance to commit: others may read them already. */
  readonly onLost?: (partitions: readonly TopicPartition[]) => void
}

/** Why a message is retried, and when. */
export interface RetryOptions {
  /** What went wrong: an error, or anything that says it; cut where it is longer than 8 KiB. @defaultValue none told */
  readonly error?: unknown
  /** When to deliver it again, in ms from now, 0..31_622_400_000. @defaultValue by the group's back-off */
  readonly delayMs?: number
  /** False gives the message up at once: trying again would be of no use. @defaultValue true */
  readonly retriable?: boolean
}

/**
 * What became of a message that was to be retried. `retrying`: it is delivered again; `dead`: it had its last attempt;
 * `already`: that was decided before; `expired`: it was delivered anew, or reset, since; `unknown`: it is not there.
 */
export type RetryResult = 'retrying' | 'dead' | 'already' | 'expired' | 'unknown'

/** A batch of a member. Messages that are retried come in batches of their own: their `attempt` is above 1. */
export interface GroupBatch extends MessageBatch {
  /**
   * Commits the `next` of each partition of the batch; of retried messages, whose `next` is −1, each by itself. Resolves
   * when it is durable; asking for the next batch need not wait for it.
   * @throws MqError `grant_fenced` for partitions that were taken and leases that were over, `member_unknown` when the session was over; the
   * others are committed all the same. `unreachable`, `timed_out` and their like after 30 s of trying: it may be done
   */
  commit(): Promise<void>
}

/**
 * What a member is doing:
 *   joining    it is no member yet, or not any more: nothing is delivered
 *   member     what it was given is delivered
 *   suspended  its session may be over by its own clock: nothing is delivered until a coordinator answers
 *   leaving    it gives back what it has
 *   left       for good
 */
export type MemberState = 'joining' | 'member' | 'suspended' | 'leaving' | 'left'

/**
 * A member of a group: reads the partitions that the coordinator gives it, and commits how far it came. Reconnects,
 * joins again and follows failovers by itself.
 *
 * Errors while reading, beside those of `PullConsumer`: `subscription_conflict`, `group_too_large`, and `member_in_use`
 * after 30 s of trying.
 */
export interface GroupConsumer extends PullConsumer {
  /** Batches as they come. Asking for the next one says that everything before it was handled. */
  [Symbol.asyncIterator](): AsyncIterator<GroupBatch, undefined>
  /** As the loop; `signal` ends it after the batch in hand, which then counts as handled. */
  batches(options?: { readonly signal?: AbortSignal }): AsyncIterable<GroupBatch>
  readonly state: MemberState
  /**
   * Commits the offsets to read on at, of partitions that it holds; absent: all that was delivered, retries too. Offsets count
   * for the partitions as they are held now, also after a reset: `batch.commit` knows what a batch belongs to.
   * @throws MqError as `batch.commit`; `offset_out_of_range` beyond what the broker has, `offset_below_progress`,
   * `invalid_request` for a broadcast member without a name
   */
  commit(offsets?: readonly PartitionOffset[]): Promise<void>
  /** What is committed of each partition that it holds, as far as it knows; sorted. */
  committed(): PartitionOffset[]
  /**
   * Sets messages aside that failed: they count as handled, and a member of the group gets each again when it is due,
   * until its attempts are used up and it goes to the group's dead letters. Durable when answered. Messages of one
   * partition that are told side by side share a request.
   * @returns a result per message, in order
   * @throws MqError `grant_fenced` for a message of a partition that is held no more, `invalid_request` for one of a
   * broadcast member; `disk_full`, `broker_busy` and `unreachable` after 30 s of trying
   */
  retry(message: Message, options?: RetryOptions): Promise<RetryResult>
  retry(messages: readonly Message[], options?: RetryOptions): Promise<RetryResult[]>
  /**
   * Gives everything back: delivers no more, waits until the loop has handled the batch in hand and `onRevoke` is done,
   * commits, and leaves the group. After `drainMs` (default the consumer's) it waits no longer. Inside the loop it would
   * wait for itself: `break` first.
   */
  close(options?: { readonly drainMs?: number }): Promise<void>
}
