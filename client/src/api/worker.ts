import type { MqError } from '@popmq/protocol'
import type { PopConsumerOptions, PoppedMessage, Settled } from './pop-consumer.ts'

export interface WorkerOptions extends PopConsumerOptions {
  /** Handlers at work at once, 1..10_000. @defaultValue 16 */
  readonly concurrency?: number
  /**
   * Messages that may wait here beyond those being handled, 0..10_000. What has waited for half of its lease is given
   * back to the group, and none waits again until handlers are quick. @defaultValue twice `concurrency`
   */
  readonly prefetch?: number
  /**
   * Most value bytes of all messages here, waiting and being handled, 1..1_073_741_824; one answer of a broker may exceed
   * it by one message. @defaultValue 16_777_216 (16 MiB)
   */
  readonly prefetchBytes?: number
  /**
   * Told of what went wrong beside the handler: with a message when it could not be settled, or was lost to another
   * consumer before its handler was done; without one when messages cannot be had (`topic_not_found`,
   * `subscription_conflict`, `unreachable`, …), in which case it goes on trying. What it throws is not caught.
   * @defaultValue errors are counted only
   */
  readonly onError?: (error: MqError, message?: PoppedMessage) => void
}

/** What a handler is told beside its message. */
export interface WorkContext {
  /** Which delivery this is: 1 for the first. */
  readonly attempt: number
  /**
   * Aborted when the lease was lost (the message may be with another consumer: what is done now may be done twice), and
   * when the worker stops waiting for its handlers.
   */
  readonly signal: AbortSignal
  /**
   * Hides the message for `invisibleMs` (1..43_200_000, default the worker's) from now. Seldom needed: while the handler
   * is at work its lease is extended by itself, each time half of it is over.
   * @returns as `PopConsumer.extend`, of this message
   */
  extend(invisibleMs?: number): Promise<Settled>
}

/**
 * Handles one message. When it returns (or what it returned resolves) the message is acked. When it throws, the message
 * is nacked with the error: it comes again after the group's back-off, and is dead after `maxAttempts`. An error with
 * `retriable === false` makes it dead at once; one with a number `delayMs` says when it comes again.
 */
export type WorkHandler = (message: PoppedMessage, context: WorkContext) => unknown

/**
 * What a worker is doing:
 *   running   pops and handles
 *   draining  pops no more; handlers finish
 *   closed    for good
 */
export type WorkerState = 'running' | 'draining' | 'closed'

export interface WorkerStats {
  readonly state: WorkerState
  /** Handlers at work. */
  readonly running: number
  /** Messages that wait for a handler. */
  readonly waiting: number
  /** Handlers that were begun. */
  readonly begun: number
  /** Messages whose ack is durable. */
  readonly acked: number
  /** Messages given back after a failure, to come again. */
  readonly retrying: number
  /** Messages given up after a failure. */
  readonly dead: number
  /** Messages given back that no handler had begun, or whose handler was not waited for. */
  readonly released: number
  /** Messages that were lost to another consumer, or settled by one. */
  readonly lost: number
  /** Messages that could not be settled: each comes again when its lease is over. */
  readonly unsettled: number
  /** What went wrong last, of what `onError` is told. */
  readonly lastError: MqError | undefined
}

/**
 * Pops messages of a group and runs a handler on each, many at once, for ever: brokers and coordinators may go away and
 * come back. Leases are extended while handlers run, results are settled in batches.
 */
export interface Worker extends AsyncDisposable {
  /** What it has done so far. */
  stats(): WorkerStats
  /**
   * Pops no more, gives back what no handler had begun, waits until the handlers are done and what they did is settled.
   * After `withinMs` (ms, 0..3_600_000, default 30_000) the signals of those still at work are aborted and their messages
   * released; their results count no more. May be called twice; the shorter time counts. Inside a handler, do not await it.
   */
  close(options?: { readonly withinMs?: number }): Promise<void>
}
