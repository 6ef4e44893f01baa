import { type Clock, type Deferred, deferred, type Log, type Random } from '@popmq/kit'
import {
  asMqError,
  brokerOpen,
  brokerSession,
  metadata,
  MqError,
  producerOpen,
  topicCreate,
  topicDelete,
  topicSet,
} from '@popmq/protocol'
import {
  type Channel,
  type Listener,
  respond,
  type ResponderEvent,
  type Route,
  route,
  routes,
  type Routes,
  type Transport,
} from '@popmq/transport'
import { Cluster, type ClusterCounts, type ClusterEvent } from './core/cluster.ts'
import type { Registry, RegistrySession } from './core/registry-port.ts'
import { handleBrokerOpen } from './handlers/broker-open.ts'
import { handleBrokerSession } from './handlers/broker-session.ts'
import { handleMetadata } from './handlers/metadata.ts'
import { handleProducerOpen } from './handlers/producer-open.ts'
import { handleTopicCreate } from './handlers/topic-create.ts'
import { handleTopicDelete } from './handlers/topic-delete.ts'
import { handleTopicSet } from './handlers/topic-set.ts'

export interface CoordinatorOptions {
  /** Stays open when the coordinator closes: who opened it closes it. */
  readonly registry: Registry
  readonly transport: Transport
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  /** host:port to listen on; port 0 takes a free one. */
  readonly listen: string
  /** host:port by which others know this coordinator. @defaultValue where it listens */
  readonly advertise?: string
  /** How long a broker's session lasts after it was last heard, in ms, 100..600_000. @defaultValue 6_000 */
  readonly sessionMs?: number
  /** What happens on connections, for metrics. */
  readonly observe?: (event: ResponderEvent) => void
  /** Called once when this coordinator may write no more: close it, end the process. */
  readonly onFatal?: (error: MqError) => void
}

export interface CoordinatorHealth extends ClusterCounts {
  readonly isLeading: boolean
  readonly leaderEpoch: number
  /** How many changes of topics there have been. */
  readonly version: number
  readonly connections: number
}

const defaultSessionMs = 6_000

/**
 * A coordinator: takes the lead in its registry and answers clients and brokers.
 *    starting → leading → closed
 *    leading → deposed   nothing can be written any more; `onFatal` was called, requests are refused
 * @throws MqError `invalid_config`, `port_in_use`, `newer_format`, `registry_unavailable`, `data_directory_invalid`
 */
export async function startCoordinator(options: CoordinatorOptions): Promise<Coordinator> {
  const sessionMs = options.sessionMs ?? defaultSessionMs
  if (!(sessionMs >= 100 && sessionMs <= 600_000)) {
    throw new MqError('invalid_config', `sessionMs must be 100 to 600000, got ${sessionMs}`)
  }
  let lost: MqError | undefined
  let cluster: Cluster | undefined
  const session = await options.registry.openSession((reason) => {
    const what = `the session with the registry has ended: ${asMqError(reason).what}`
    lost = new MqError('registry_unavailable', what, { cause: reason })
    cluster?.leadership.depose(lost)
  })
  try {
    cluster = await Cluster.lead({
      session,
      clock: options.clock,
      random: options.random,
      coordinator: options.advertise ?? options.listen,
      sessionMs,
      observe: (event) => report(event, options),
    })
    if (lost !== undefined) throw lost
    return await Coordinator.listen(options, { session, cluster })
  } catch (error) {
    cluster?.close()
    await session.close()
    throw error
  }
}

export class Coordinator {
  /** host:port where it listens. */
  readonly address: string
  readonly clusterId: string
  readonly #session: RegistrySession
  readonly #cluster: Cluster
  readonly #listener: Listener
  readonly #door: Door
  #closing: Promise<void> | undefined

  private constructor(
    { session, cluster }: Led,
    { listener, door }: { listener: Listener; door: Door },
  ) {
    this.#session = session
    this.#cluster = cluster
    this.#listener = listener
    this.#door = door
    this.address = listener.address
    this.clusterId = cluster.clusterId
  }

  /** For `startCoordinator`. */
  static async listen(options: CoordinatorOptions, led: Led): Promise<Coordinator> {
    const door = new Door(led.cluster, options)
    const listener = await options.transport.listen(options.listen, (channel) =>
      door.accept(channel),
    )
    const { clusterId, leadership } = led.cluster
    options.log.info('coordinator_leading', {
      address: listener.address,
      clusterId,
      epoch: leadership.epoch,
    })
    return new Coordinator(led, { listener, door })
  }

  health(): CoordinatorHealth {
    const { leadership, version, counts } = this.#cluster
    return {
      isLeading: leadership.deposed === undefined && this.#closing === undefined,
      leaderEpoch: leadership.epoch,
      version,
      connections: this.#door.connections,
      ...counts,
    }
  }

  /** Answers held requests with `shutting_down`, ends those under way, closes every connection. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #close(): Promise<void> {
    this.#cluster.close()
    await this.#door.drained()
    await this.#listener.close()
    await this.#session.close()
  }
}

interface Led {
  readonly session: RegistrySession
  readonly cluster: Cluster
}

/** Where requests come in: the connections, and the requests being handled. */
class Door {
  readonly #cluster: Cluster
  readonly #options: CoordinatorOptions
  readonly #routes: Routes
  #lastConnection = 0
  #connections = 0
  #running = 0
  #idle: Deferred<void> | undefined

  constructor(cluster: Cluster, options: CoordinatorOptions) {
    this.#cluster = cluster
    this.#options = options
    const all = [
      route(metadata, (request) => handleMetadata(request, cluster)),
      route(topicCreate, (request) => handleTopicCreate(request, cluster, options.clock)),
      route(topicSet, (request) => handleTopicSet(request, cluster)),
      route(topicDelete, (request) => handleTopicDelete(request, cluster)),
      route(producerOpen, () => handleProducerOpen(cluster)),
      route(brokerOpen, (request, context) => handleBrokerOpen(request, context, cluster)),
      route(brokerSession, (request, context) => handleBrokerSession(request, context, cluster)),
    ]
    this.#routes = routes(...all.map((each) => this.#counted(each)))
  }

  get connections(): number {
    return this.#connections
  }

  accept(channel: Channel): void {
    this.#lastConnection += 1
    this.#connections += 1
    respond(channel, {
      role: 'coordinator',
      clusterId: () => this.#cluster.clusterId,
      clock: this.#options.clock,
      routes: this.#routes,
      connectionId: this.#lastConnection,
      observe: (event) => this.#observe(event),
    })
  }

  /** Resolves when no request is being handled: each has its answer, or its connection has gone. */
  async drained(): Promise<void> {
    if (this.#running === 0) return
    this.#idle ??= deferred()
    await this.#idle.promise
  }

  /** For each request whose handling begins there is one event `answered`. */
  #counted(each: Route): Route {
    return {
      ...each,
      answer: (fields, context) => {
        this.#running += 1
        return each.answer(fields, context)
      },
    }
  }

  #observe(event: ResponderEvent): void {
    const { log, observe } = this.#options
    if (event.kind === 'answered') {
      this.#running -= 1
      if (this.#running === 0) this.#idle?.resolve()
    } else if (event.kind === 'closed') {
      this.#connections -= 1
      this.#cluster.connectionClosed(event.connection.id)
    } else if (event.kind === 'refused') {
      log.warn('connection_refused', {
        remote: event.connection.remote,
        error: event.error.message,
      })
    } else if (event.kind === 'defect') {
      const error = event.error instanceof Error ? event.error.stack : String(event.error)
      log.error('defect', { request: event.name, error })
    }
    observe?.(event)
  }
}

function report(event: ClusterEvent, { log, onFatal }: CoordinatorOptions): void {
  switch (event.kind) {
    case 'broker_opened':
    case 'broker_left':
    case 'broker_session_ended': {
      const { id, epoch, setId, address } = event.broker
      return log.info(event.kind, { id, epoch, setId, address })
    }
    case 'topic_created':
    case 'topic_changed':
    case 'topic_deleted': {
      const { name, id, sets } = event.topic
      return log.info(event.kind, { name, id, partitions: sets.length })
    }
    case 'deposed':
      log.error('coordinator_deposed', { error: event.error.message })
      return onFatal?.(event.error)
    default:
      return event satisfies never
  }
}
