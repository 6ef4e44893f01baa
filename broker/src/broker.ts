import { type Clock, deferred, type Log, type Random, type Storage, type Timer } from '@popmq/kit'
import {
  asMqError,
  type Checksum,
  fetch,
  isMqError,
  MqError,
  offsets,
  produce,
  purge,
} from '@popmq/protocol'
import {
  type Listener,
  respond,
  type ResponderEvent,
  type ResponderOptions,
  route,
  routes,
  type Routes,
  type Transport,
} from '@popmq/transport'
import { deliveryRoutes } from './delivery-routes.ts'
import { claimIdentity, readIdentity } from './core/cluster-identity.ts'
import { defaultSegmentBytes, type LogOptions, logOptions } from './core/options.ts'
import { RecoveredSet } from './core/recovered-set.ts'
import type { ReplicaSet } from './core/replica-set.ts'
import { handleFetch } from './handlers/fetch.ts'
import { handleOffsets } from './handlers/offsets.ts'
import { handleProduce } from './handlers/produce.ts'
import { handlePurge } from './handlers/purge.ts'
import { CoordinatorLink } from './net/coordinator-link.ts'

/** The world as the broker sees it: real in a process, simulated in the simulator. */
export interface BrokerPorts {
  readonly storage: Storage
  readonly transport: Transport
  readonly clock: Clock
  readonly random: Random
  readonly crc32: Checksum
  /** Codes that handles are protected with: HMAC-SHA-256, 16 bytes. */
  readonly authenticate: (key: Uint8Array, bytes: Uint8Array) => Uint8Array
  readonly log: Log
  readonly observe?: (event: ResponderEvent) => void
}

export interface BrokerOptions {
  /** Number of the broker: stable over restarts, one of its own in the cluster. 1..65,535 */
  readonly id: number
  /** host:port of each coordinator. */
  readonly coordinators: readonly string[]
  /** host:port to listen on; port 0 takes a free one. */
  readonly listen: string
  /** host:port that clients are told. @defaultValue where it listens */
  readonly advertise?: string
  readonly log?: Partial<LogOptions>
}

const tickMs = 500

/**
 * One broker: recovers its log, opens its session with the coordinator, leads its replica set.
 *
 *     starting ──session open, epoch record synced──▶ serving ──close──▶ stopped
 *     any ──disk failed, fenced──▶ failed: nothing is acknowledged any more, the process must end
 */
export class Broker {
  readonly #ports: BrokerPorts
  readonly #link: CoordinatorLink
  readonly #failed = deferred<MqError>()
  #listener: Listener | undefined
  #set: ReplicaSet | undefined
  #clusterId = ''
  #state: 'starting' | 'serving' | 'stopped' | 'failed' = 'starting'
  #timer: Timer | undefined
  #ticking: Promise<void> = Promise.resolve()

  private constructor(ports: BrokerPorts, options: BrokerOptions) {
    this.#ports = ports
    const incarnation = hex(ports.random.fill(new Uint8Array(16)))
    this.#link = new CoordinatorLink({
      ...ports,
      coordinators: options.coordinators,
      brokerId: options.id,
      incarnation,
    })
  }

  /**
   * Resolves when the broker serves.
   * @throws MqError `damaged_log`, `unknown_record_kind`, `newer_format`, `foreign_cluster`, `registry_behind`, `port_in_use`, …
   */
  static async start(ports: BrokerPorts, options: BrokerOptions): Promise<Broker> {
    const broker = new Broker(ports, options)
    try {
      await broker.#start(options)
      return broker
    } catch (error) {
      await broker.close()
      throw error
    }
  }

  /** host:port where it listens. */
  get address(): string {
    return this.#listener?.address ?? ''
  }

  get isServing(): boolean {
    return this.#state === 'serving'
  }

  /** Resolves, with the cause, when the broker can no longer be trusted: the process must end. */
  get failed(): Promise<MqError> {
    return this.#failed.promise
  }

  /** The set it leads, for metrics; undefined until it serves. */
  get set(): ReplicaSet | undefined {
    return this.#set
  }

  /** Stops: answers what is under way, syncs, writes a checkpoint, gives the session back. Idempotent. */
  async close(): Promise<void> {
    if (this.#state === 'stopped') return
    const failed = this.#state === 'failed'
    this.#state = 'stopped'
    this.#timer?.cancel()
    this.#set?.waiters.wakeAll()
    this.#set?.delivering.dispatch.wakeAll()
    await this.#ticking
    await this.#link.close()
    if (!failed) await this.#set?.close()
    await this.#listener?.close()
  }

  async #start(options: BrokerOptions): Promise<void> {
    const { storage, transport, clock, log } = this.#ports
    const { totalBytes } = await storage.space()
    const limits = logOptions({ segmentBytes: defaultSegmentBytes(totalBytes), ...options.log })
    const identity = await readIdentity(storage)
    const recovered = await RecoveredSet.open({ ...this.#ports, options: limits })
    log.info('log_recovered', recovered.facts)
    const all = this.#routes()
    // One for all connections: there may be ten thousand.
    const answering: ResponderOptions = {
      role: 'broker',
      clusterId: () => this.#clusterId,
      clock,
      routes: all,
      observe: (event) => this.#observe(event),
    }
    this.#listener = await transport.listen(options.listen, (channel) => {
      respond(channel, answering)
    })
    const { highestTopicId, highestEpoch } = recovered.facts
    const address = options.advertise ?? this.#listener.address
    const opened = await this.#link.open({
      address,
      clusterId: identity?.clusterId,
      highestTopicId,
      highestEpoch,
    })
    this.#clusterId = opened.clusterId
    await claimIdentity(storage, opened)
    this.#set = await recovered.lead({
      ...opened,
      onFailed: (error) => this.#fail(error),
      onUnfit: (number, error) =>
        log.warn('delayed_message_stuck', { number, error: String(error) }),
    })
    this.#state = 'serving'
    this.#link.keep({
      update: async ({ handleKeys, ...news }) => {
        if (handleKeys !== undefined) this.#set?.delivering.dispatch.useKeys(handleKeys)
        if (news.topics !== undefined || news.groups !== undefined) await this.#set?.update(news)
      },
      report: (group) => this.#serving().delivering.report(group),
      fenced: (error) => this.#fail(error),
    })
    this.#tickLater()
    log.info('broker_serving', {
      brokerId: options.id,
      address,
      epoch: opened.epoch,
      setId: opened.setId,
    })
  }

  #routes(): Routes {
    const { clock } = this.#ports
    const serving = (): ReplicaSet => this.#serving()
    const parts = (): { set: ReplicaSet; topics: ReplicaSet['topics'] } => ({
      set: serving(),
      topics: serving().topics,
    })
    return routes(
      route(produce, (request, context) => {
        // Asked for once: what was appended before a stop began is answered as appended.
        const set = serving()
        return handleProduce(request, context, {
          set,
          topics: set.topics,
          clock,
          disk: () => set.disk,
        })
      }),
      route(fetch, (request, context) => {
        return handleFetch(request, context, {
          set: serving(),
          clock,
          isStopping: () => !this.isServing,
        })
      }),
      route(offsets, (request) => handleOffsets(request, parts())),
      route(purge, (request) => handlePurge(request, parts())),
      ...deliveryRoutes({ serving, clock, isStopping: () => !this.isServing }),
    )
  }

  #serving(): ReplicaSet {
    if (this.#state === 'serving' && this.#set !== undefined) return this.#set
    if (this.#state === 'starting')
      throw new MqError('not_leader', 'the broker is starting', { retryAfterMs: 100 })
    throw new MqError('shutting_down', 'the broker is stopping', { retryAfterMs: 500 })
  }

  #tickLater(): void {
    this.#timer = this.#ports.clock.after(tickMs, () => {
      this.#ticking = this.#tick()
    })
  }

  /** Retention, cleaning, checkpoints: one at a time, in the background of produce and fetch. */
  async #tick(): Promise<void> {
    try {
      await this.#set?.tick()
    } catch (error) {
      // A full disk passes; anything else that upkeep cannot do means that the data cannot be trusted to this process.
      if (!isMqError(error, 'disk_full', 'broker_busy', 'outcome_unknown', 'shutting_down'))
        this.#fail(asMqError(error))
      else this.#ports.log.warn('upkeep_put_off', { error: error.message })
    }
    if (this.#state === 'serving') this.#tickLater()
  }

  #observe(event: ResponderEvent): void {
    this.#ports.observe?.(event)
    // Our own bug: stopping beats acknowledging what is not true.
    if (event.kind === 'defect') this.#fail(asMqError(event.error))
  }

  #fail(error: MqError): void {
    if (this.#state === 'failed' || this.#state === 'stopped') return
    this.#state = 'failed'
    this.#ports.log.error('broker_failed', { name: error.name, error: error.message })
    this.#failed.resolve(error)
  }
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}
