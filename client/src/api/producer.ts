import type { AckLevel, MqError } from '@popmq/protocol'
import type { OutgoingMessage, Receipt, SendResult } from './outgoing-message.ts'

export interface ProducerOptions {
  /**
   * How far a message must have come before it is acknowledged: `none` (handed to the network), `received` (in the
   * leader's memory), `disk` (synced by the leader), `quorum` (synced by a majority).
   * @defaultValue the strongest that the topic's replication allows: `disk` with one replica, else `quorum`
   */
  readonly acks?: AckLevel
  /**
   * How long a message may wait for others to share its request, in ms, 0..1_000. With 0 batches form while earlier
   * requests are under way. @defaultValue 0
   */
  readonly lingerMs?: number
  /** Most record bytes of one request, 1_024..16_777_216; a larger message goes alone. @defaultValue 1_048_576 */
  readonly batchBytes?: number
  /** Most messages of one request for one partition, 1..65_535. @defaultValue 10_000 */
  readonly batchMessages?: number
  /** Requests under way to one broker, 1..64. @defaultValue 5 */
  readonly requestsInFlight?: number
  /** Most bytes of messages that are not settled, 65_536..4_294_967_296. @defaultValue 33_554_432 (32 MiB) */
  readonly bufferBytes?: number
  /** What `send` does when the buffer is full: `wait` for room, or `reject` with `buffer_full`. @defaultValue 'wait' */
  readonly onFull?: 'wait' | 'reject'
  /**
   * How long the delivery of a message is tried, in ms, 100..900_000; up to a tenth less for one that joins others
   * already waiting. @defaultValue 120_000
   */
  readonly deliverWithinMs?: number
  /** Told of every message of `post` that was not acknowledged. @defaultValue errors are counted only */
  readonly onError?: (error: MqError, message: PostedMessage) => void
}

/** Names a posted message that failed. */
export interface PostedMessage {
  readonly topic: string
  /** The message id, a UUIDv7. Empty when the message was refused before it got one. */
  readonly id: string
}

export interface SendOptions {
  /**
   * Stops waiting: rejects with `aborted`. A message that still waits for room is not sent; one that is already in the
   * buffer is sent all the same.
   */
  readonly signal?: AbortSignal
}

/**
 * Sends messages: batched, idempotent, in order per partition. Retries until `deliverWithinMs` has passed, so that a
 * message is stored once however often its answer is lost.
 *
 * Errors of messages: `topic_not_found`, `partition_not_found`, `message_too_large`, `invalid_request` (a key or value
 * that is not allowed), `quorum_unavailable`, `buffer_full`, the last retriable error (`unreachable`, `broker_busy`, …)
 * when the message was surely not stored in time, `outcome_unknown` when it may have been, `producer_fenced`, `closed`,
 * `aborted`.
 */
export interface Producer extends AsyncDisposable {
  /** Sends one message. Resolves once it is acknowledged at the level asked for. */
  send(message: OutgoingMessage, options?: SendOptions): Promise<Receipt>
  /**
   * Sends many messages, fast. Resolves once all are acknowledged, with the receipts in the order of the messages;
   * `[]` for none. Rejects, when all are settled, with the first error if any failed: its `facts` count `failed` and
   * `acked`. Use `sendBatchSettled` to learn of each.
   */
  sendBatch(messages: readonly OutgoingMessage[], options?: SendOptions): Promise<Receipt[]>
  /** As `sendBatch`, but resolves with one result per message, in order. Rejects only with `aborted` and `closed`. */
  sendBatchSettled(
    messages: readonly OutgoingMessage[],
    options?: SendOptions,
  ): Promise<SendResult[]>
  /**
   * Sends without waiting. Never throws: failures go to `onError`, `buffer_full` among them, whatever `onFull` says.
   */
  post(message: OutgoingMessage): void
  /** Resolves once everything given so far is settled. */
  flush(options?: SendOptions): Promise<void>
  /** What was done so far. */
  stats(): ProducerStats
  /**
   * Takes no more messages, waits until those given are settled, at most `withinMs` (default 10_000), then fails the
   * rest with `closed` or `outcome_unknown`. May be called twice.
   */
  close(options?: { readonly withinMs?: number }): Promise<void>
}

export interface ProducerStats {
  readonly messagesAcked: number
  readonly messagesFailed: number
  /** Bytes of records that are not settled. */
  readonly bufferedBytes: number
  readonly requests: number
  /** Runs that were sent again. */
  readonly resentRuns: number
  /** How often a partition went on under a new producer epoch. */
  readonly epochsTaken: number
}
