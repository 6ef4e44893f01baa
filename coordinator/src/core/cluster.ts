import type { Clock, Random, Timer } from '@popmq/kit'
import {
  type groupReset,
  limits,
  type metadata,
  MqError,
  type ReplyOf,
  type TopicInfo,
} from '@popmq/protocol'
import { Brokers } from './brokers.ts'
import type { AssignorModules } from './groups/assignor-choice.ts'
import type { FlushCounts } from './groups/progress-flush.ts'
import { Groups } from './groups/groups.ts'
import { WantedReports } from './groups/wanted-reports.ts'
import { HandleKeys } from './handle-keys.ts'
import { Leadership } from './leadership.ts'
import type { Candidate } from './placement.ts'
import { ProducerIds } from './producer-ids.ts'
import type { RegistrySession } from './registry-port.ts'
import {
  type BrokerRecord,
  brokerValue,
  paths,
  readChildren,
  topicValue,
} from './registry-values.ts'
import { routesOf } from './routes.ts'
import { type TopicChange, Topics } from './topics.ts'
import { Waiters } from './waiters.ts'

/** What happened, for logs and metrics. */
export type ClusterEvent =
  | { readonly kind: 'broker_opened'; readonly broker: BrokerRecord }
  | { readonly kind: 'broker_left' | 'broker_session_ended'; readonly broker: BrokerRecord }
  /** This coordinator may write no more: its process should end, so that it or another begins anew. */
  | { readonly kind: 'deposed'; readonly error: MqError }
  | {
      readonly kind: 'group_reset'
      readonly group: string
      readonly topicId: number
      readonly operator: string
      readonly moves: ReplyOf<typeof groupReset>['moves']
    }
  | {
      readonly kind: 'topic_created' | 'topic_changed' | 'topic_deleted'
      readonly topic: TopicInfo
    }

export interface ClusterOptions {
  readonly session: RegistrySession
  readonly clock: Clock
  readonly random: Random
  /** A name for this coordinator, for people. */
  readonly coordinator: string
  /** How long a broker's session lasts after it was last heard, in ms. */
  readonly sessionMs: number
  /** Assignors that users brought, by name. */
  readonly assignorModules?: AssignorModules | undefined
  readonly observe: (event: ClusterEvent) => void
}

export interface ClusterCounts {
  readonly topics: number
  readonly partitions: number
  readonly brokers: number
  readonly liveBrokers: number
  readonly groups: number
  readonly groupMembers: number
  readonly heldRequests: number
  /** Writes of progress since this coordinator began to lead. */
  readonly progress: FlushCounts
}

/**
 * The state of the cluster for the coordinator that leads. What must last is written through `leadership` before it is
 * acted on or told; the sessions of brokers are in memory. Handlers do the requests, each over the parts that it needs.
 * States: leading → deposed (see `Leadership`), leading | deposed → closed; in both no held request waits on.
 */
export class Cluster {
  readonly leadership: Leadership
  readonly brokers: Brokers
  readonly topics = new Topics()
  readonly groups: Groups
  readonly reports: WantedReports
  readonly handleKeys: HandleKeys
  readonly producerIds: ProducerIds
  readonly waiters: Waiters
  readonly #options: ClusterOptions
  #timer: Timer | undefined
  #keysTimer: Timer | undefined
  #isClosed = false

  private constructor(
    options: ClusterOptions,
    { leadership, waiters }: Pick<Cluster, 'leadership' | 'waiters'>,
  ) {
    this.#options = options
    this.leadership = leadership
    this.waiters = waiters
    this.brokers = new Brokers(options.sessionMs)
    this.producerIds = new ProducerIds(leadership)
    const { topics } = this
    const reached = (version: number): Promise<void> => this.reached(version)
    const modules = options.assignorModules
    this.groups = new Groups({ ...options, leadership, topics, modules, reached })
    const firstTicket = Math.floor(options.random.next() * 2 ** 52)
    this.reports = new WantedReports({ ...options, firstTicket, wake: () => waiters.wake() })
    this.handleKeys = new HandleKeys({ ...options, leadership })
  }

  /** Takes the lead and reads what the registry holds. @throws MqError as `Leadership.take`, `data_directory_invalid` */
  static async lead(options: ClusterOptions): Promise<Cluster> {
    const { session, clock } = options
    const waiters = new Waiters(clock)
    const led: { cluster?: Cluster } = {}
    const deposed = (error: MqError): void => {
      waiters.close()
      led.cluster?.groups.close()
      led.cluster?.reports.close()
      options.observe({ kind: 'deposed', error })
    }
    const leadership = await Leadership.take({ ...options, deposed })
    const cluster = new Cluster(options, { leadership, waiters })
    led.cluster = cluster
    await cluster.handleKeys.restore()
    const brokers = await readChildren(session, paths.brokers, brokerValue)
    const topics = await readChildren(session, paths.topics, topicValue)
    for (const { value, version } of topics) cluster.topics.restore(value, version)
    cluster.topics.restored(cluster.version)
    const nowMs = clock.monotonic()
    for (const { value } of brokers) cluster.brokers.restore(value, nowMs)
    await cluster.groups.restore()
    cluster.#arm()
    cluster.#renewKeysDaily()
    return cluster
  }

  get nowMs(): number {
    return this.#options.clock.monotonic()
  }

  get sessionMs(): number {
    return this.#options.sessionMs
  }

  get clusterId(): string {
    return this.leadership.clusterId
  }

  /** How many changes there have been that brokers are told: of topics, of groups, of handle keys. */
  get version(): number {
    return this.leadership.counters.version
  }

  get counts(): ClusterCounts {
    const brokers = this.brokers.list(this.nowMs)
    const { groups, groupMembers, heldSessions } = this.groups.counts
    return {
      topics: this.topics.size,
      partitions: [...this.topics.loads().values()].reduce((sum, load) => sum + load, 0),
      brokers: brokers.length,
      liveBrokers: brokers.filter(({ state }) => state === 'live').length,
      groups,
      groupMembers,
      heldRequests: this.waiters.size + heldSessions,
      progress: this.groups.flush.counts,
    }
  }

  /** @throws MqError `not_coordinator`, `registry_unavailable`, `shutting_down` */
  checkLeads(): void {
    if (this.leadership.deposed !== undefined) throw this.leadership.deposed
    if (this.#isClosed) throw new MqError('shutting_down', 'the coordinator is stopping')
  }

  routes(names?: readonly string[]): ReplyOf<typeof metadata> {
    const brokers = this.brokers.list(this.nowMs)
    return routesOf({ clusterId: this.clusterId, topics: this.topics, brokers }, names)
  }

  /** Sets that may take partitions: those whose broker is live. */
  candidates(): Candidate[] {
    const loads = this.topics.loads()
    return this.brokers
      .list(this.nowMs)
      .filter(({ state }) => state === 'live')
      .map(({ record }) => ({ id: record.setId, load: loads.get(record.setId) ?? 0 }))
  }

  /** A session was opened, renewed or ended, or there is a new version of the topics. */
  sessionsChanged(): void {
    this.#arm()
    this.waiters.wake()
  }

  /** The connection with this number has closed. */
  connectionClosed(connection: number): void {
    this.brokers.disconnect(connection)
    this.groups.connectionClosed(connection)
  }

  /** Resolves once every broker with a session has applied the change of a topic. @throws MqError as `reached` */
  async applied(change: TopicChange): Promise<void> {
    try {
      await this.reached(change.version)
    } finally {
      this.topics.settle(change)
      this.groups.topicChanged(change.info)
    }
  }

  /**
   * Resolves once every broker with a session has applied this version.
   * @throws MqError `timed_out` when the change was made but some brokers may act on the old state; so too when the
   * coordinator stops: an error that says that nothing was done would be untrue
   */
  async reached(version: number): Promise<void> {
    this.waiters.wake()
    const behind = (): BrokerRecord[] => this.brokers.behind(version, this.nowMs)
    if (await this.waiters.until(() => behind().length === 0, { withinMs: limits.waitMs })) return
    const ids = behind().map(({ id }) => id)
    throw new MqError(
      'timed_out',
      `the change was made, but these brokers have not applied it yet: ${ids.join(', ')}`,
    )
  }

  observe(event: ClusterEvent): void {
    this.#options.observe(event)
  }

  /** Ends what waits with `shutting_down`. */
  close(): void {
    this.#isClosed = true
    this.#timer?.cancel()
    this.#keysTimer?.cancel()
    this.waiters.close()
    this.groups.close()
    this.reports.close()
  }

  #renewKeysDaily(): void {
    this.#keysTimer = this.#options.clock.after(86_400_000, () => {
      if (this.#isClosed || this.leadership.deposed !== undefined) return
      // Brokers hear of a new one with their next renewal.
      void this.handleKeys.renew()
      this.#renewKeysDaily()
    })
  }

  /** Sees to it that the end of the next session is noticed. A timer that is early by a renewal just sets the next. */
  #arm(): void {
    const { nextEndMs } = this.brokers
    if (this.#timer !== undefined || this.#isClosed || nextEndMs === undefined) return
    this.#timer = this.#options.clock.after(nextEndMs - this.nowMs, () => {
      this.#timer = undefined
      for (const broker of this.brokers.expire(this.nowMs))
        this.observe({ kind: 'broker_session_ended', broker })
      this.sessionsChanged()
    })
  }
}
