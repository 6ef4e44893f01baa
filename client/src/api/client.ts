import type { Clock, Random } from '@popmq/kit'
import type { Transport } from '@popmq/transport'
import type { Admin } from './admin.ts'
import type { GroupConsumer, GroupConsumerOptions } from './group-consumer.ts'
import type { PopConsumer, PopConsumerOptions } from './pop-consumer.ts'
import type { Producer, ProducerOptions } from './producer.ts'
import type { PullConsumer, PullConsumerOptions } from './pull-consumer.ts'
import type { Worker, WorkerOptions, WorkHandler } from './worker.ts'

export interface ConnectOptions {
  /** A name for the servers' logs and metrics, at most 128 bytes. @defaultValue 'popmq-client' */
  readonly client?: string
  /** How long `connect` looks for a coordinator, in ms, 1..600_000. @defaultValue 10_000 */
  readonly connectWithinMs?: number
  /** How long one request may go unanswered, beyond the time that the server may hold it, in ms, 1..600_000. @defaultValue 10_000 */
  readonly requestTimeoutMs?: number
  /** How often routes are refreshed without a cause, in ms, 100..3_600_000. @defaultValue 30_000 */
  readonly refreshMs?: number
  /** Stops connecting: rejects with `aborted`. */
  readonly signal?: AbortSignal
  /** For simulation and tests. @defaultValue the machine's */
  readonly clock?: Clock
  readonly random?: Random
  readonly transport?: Transport
}

/** A client of one cluster. Its parts share connections and routes. */
export interface Client extends AsyncDisposable {
  readonly clusterId: string
  /** @throws MqError `invalid_request` for an option out of its range, `closed` */
  producer(options?: ProducerOptions): Producer
  /**
   * With `group` a member of it, which is given partitions and commits progress; else a reader whose offsets you keep.
   * @throws MqError `invalid_request` for an option out of its range, `invalid_name`, `closed`
   */
  pullConsumer(options: GroupConsumerOptions): GroupConsumer
  pullConsumer(options: PullConsumerOptions): PullConsumer
  /**
   * Pops messages of a group, each under a lease: you ack, nack, extend or release.
   * @throws MqError `invalid_request` for an option out of its range, `invalid_name`, `closed`
   */
  popConsumer(options: PopConsumerOptions): PopConsumer
  /**
   * Pops messages of a group and runs `handler` on each until it is closed: what returns is acked, what throws is retried.
   * @throws MqError `invalid_request` for an option out of its range, `invalid_name`, `closed`
   */
  worker(options: WorkerOptions, handler: WorkHandler): Worker
  admin(): Admin
  /**
   * Closes workers (each waits for its handlers, at most 30 s), then consumers (members of groups finish what they have in hand, within their `drainMs`), then producers (each sends
   * what it has, within 10 s), then connections. May be called twice.
   */
  close(): Promise<void>
}
