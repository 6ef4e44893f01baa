import type { Clock, Log, Random } from '@popmq/kit'
import {
  brokerOpen,
  brokerSession,
  clusterStatus,
  groupReport,
  metadata,
  MqError,
  producerOpen,
  topicCreate,
  topicDelete,
  topicSet,
} from '@popmq/protocol'
import {
  type Listener,
  type ResponderEvent,
  type Route,
  route,
  type Transport,
} from '@popmq/transport'
import { Candidacy, type CandidacyState } from './candidacy.ts'
import type { Cluster, ClusterCounts } from './core/cluster.ts'
import type { CoordinatorList } from './core/coordinator-list.ts'
import type { AssignorModules } from './core/groups/assignor-choice.ts'
import { noFlushes } from './core/groups/progress-flush.ts'
import { retryAfterMs } from './core/leadership.ts'
import type { Registry } from './core/registry-port.ts'
import { type Answering, Door } from './door.ts'
import { groupRoutes } from './group-routes.ts'
import { handleBrokerOpen } from './handlers/broker-open.ts'
import { handleBrokerSession } from './handlers/broker-session.ts'
import { handleClusterStatus } from './handlers/cluster-status.ts'
import { handleGroupReport } from './handlers/group-lag.ts'
import { handleMetadata } from './handlers/metadata.ts'
import { handleProducerOpen } from './handlers/producer-open.ts'
import { handleTopicCreate } from './handlers/topic-create.ts'
import { handleTopicDelete } from './handlers/topic-delete.ts'
import { handleTopicSet } from './handlers/topic-set.ts'

export interface CoordinatorOptions {
  /** Its number among the coordinators of the cluster, 1..65_535. @defaultValue 1 */
  readonly id?: number
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
  /** Assignors that users brought, by name. */
  readonly assignorModules?: AssignorModules | undefined
  /** What happens on connections, for metrics. */
  readonly observe?: (event: ResponderEvent) => void
  /** Called once when trying again cannot help: close it, end the process. */
  readonly onFatal?: (error: MqError) => void
}

/** What the leader knows is 0 elsewhere. */
export interface CoordinatorHealth extends ClusterCounts {
  readonly role: CandidacyState['kind']
  /** host:port of the coordinator that leads, this one or another; undefined while it is not known. */
  readonly leader: string | undefined
  readonly isLeading: boolean
  readonly leaderEpoch: number
  /** How many changes there have been that brokers are told. */
  readonly version: number
  readonly connections: number
  /** How often it has taken the lead. */
  readonly elections: number
  /** How many requests it refused because it did not lead. */
  readonly redirects: number
}

const defaults = { id: 1, sessionMs: 6_000 } as const
/** While it does not lead. */
const unknown: ClusterCounts = {
  topics: 0,
  partitions: 0,
  brokers: 0,
  liveBrokers: 0,
  groups: 0,
  groupMembers: 0,
  progress: noFlushes,
  heldRequests: 0,
}

/**
 * Starts a coordinator; resolves when it leads, or another does.
 * @throws MqError `invalid_config`, `port_in_use`, `newer_format`, `registry_unavailable`, `data_directory_invalid`
 */
export async function startCoordinator(options: CoordinatorOptions): Promise<Coordinator> {
  const config = { ...defaults, ...options }
  const { sessionMs } = config
  if (!(sessionMs >= 100 && sessionMs <= 600_000)) {
    throw new MqError('invalid_config', `sessionMs must be 100 to 600000, got ${sessionMs}`)
  }
  const coordinator = new Coordinator(config)
  try {
    await coordinator.start()
    return coordinator
  } catch (error) {
    await coordinator.close()
    throw error
  }
}

type CoordinatorConfig = CoordinatorOptions & { readonly id: number; readonly sessionMs: number }

/** Listens from its start to its close; answers clients and brokers while it leads, and else says who does. */
export class Coordinator {
  readonly #options: CoordinatorConfig
  readonly #door: Door
  readonly #candidacy: Candidacy
  #listener: Listener | undefined
  #closing: Promise<void> | undefined

  /** For `startCoordinator`. */
  constructor(options: CoordinatorConfig) {
    this.#options = options
    this.#door = new Door({
      ...options,
      clusterId: () => this.clusterId,
      answering: () => this.#answering(),
    })
    this.#candidacy = new Candidacy({
      ...options,
      address: () => this.#advertised,
      led: (cluster, coordinators) => {
        const routes = leaderRoutes({ cluster, coordinators, address: this.#advertised }, options)
        return { cluster, routes: this.#door.leaderRoutes(routes, cluster) }
      },
      onFatal: (error) => {
        options.log.error('coordinator_failed', { error: error.message })
        options.onFatal?.(error)
      },
    })
  }

  /** host:port where it listens. */
  get address(): string {
    return this.#listener?.address ?? ''
  }

  /** Empty while there is no cluster yet. */
  get clusterId(): string {
    return this.#candidacy.clusterId ?? ''
  }

  health(): CoordinatorHealth {
    const { connections, redirects } = this.#door
    const { state, elections } = this.#candidacy
    const own = { role: state.kind, connections, redirects, elections }
    if (state.kind !== 'leading') {
      const leader = state.kind === 'standby' ? state.leader : undefined
      return { ...own, leader, isLeading: false, leaderEpoch: 0, version: 0, ...unknown }
    }
    const { leadership, version, counts } = state.led.cluster
    const { epoch: leaderEpoch } = leadership
    return { ...own, leader: this.#advertised, isLeading: true, leaderEpoch, version, ...counts }
  }

  /** Resolves when it leads, or another does. For `startCoordinator`. */
  async start(): Promise<void> {
    const { transport, listen } = this.#options
    this.#listener = await transport.listen(listen, (channel) => this.#door.accept(channel))
    await this.#candidacy.start()
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
    this.#candidacy.retire()
    await this.#door.drained()
    await this.#listener?.close()
    await this.#candidacy.close()
  }

  get #advertised(): string {
    return this.#options.advertise ?? this.address
  }

  #answering(): Answering {
    const { state } = this.#candidacy
    if (state.kind === 'leading') return state
    return { kind: 'refusing', refusal: () => refusal(state) }
  }
}

function refusal(state: Exclude<CandidacyState, { kind: 'leading' }>): MqError {
  if (state.kind === 'closed') return new MqError('shutting_down', 'the coordinator is stopping')
  const leader = state.kind === 'standby' ? state.leader : undefined
  if (leader === undefined)
    return new MqError('not_coordinator', 'it is not known yet who leads', { retryAfterMs })
  return new MqError('not_coordinator', `the coordinator at ${leader} leads`, { facts: { leader } })
}

interface RoutedParts {
  readonly cluster: Cluster
  readonly coordinators: CoordinatorList
  readonly address: string
}

/** What a leader answers. */
function leaderRoutes(led: RoutedParts, { clock }: CoordinatorOptions): Route[] {
  const { cluster } = led
  return [
    route(metadata, (request) => handleMetadata(request, cluster)),
    route(clusterStatus, () => handleClusterStatus(led)),
    route(topicCreate, (request) => handleTopicCreate(request, cluster, clock)),
    route(topicSet, (request) => handleTopicSet(request, cluster)),
    route(topicDelete, (request) => handleTopicDelete(request, cluster)),
    route(producerOpen, () => handleProducerOpen(cluster)),
    route(brokerOpen, (request, context) => handleBrokerOpen(request, context, cluster)),
    route(brokerSession, (request, context) => handleBrokerSession(request, context, cluster)),
    route(groupReport, (request) => handleGroupReport(request, cluster)),
    ...groupRoutes(cluster),
  ]
}
