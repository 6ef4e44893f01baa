import {
  Backoff,
  type Clock,
  type Deferred,
  deferred,
  type Log,
  type Random,
  sleep,
} from '@popmq/kit'
import { asMqError, MqError } from '@popmq/protocol'
import { Cluster, type ClusterEvent } from './core/cluster.ts'
import { randomName, readClusterId } from './core/cluster-identity.ts'
import { CoordinatorList } from './core/coordinator-list.ts'
import { type Candidate, Election, type Standing, throwIfOver } from './core/election.ts'
import type { AssignorModules } from './core/groups/assignor-choice.ts'
import type { Registry, RegistrySession } from './core/registry-port.ts'
import type { Led } from './door.ts'

export interface CandidacyOptions {
  readonly registry: Registry
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly id: number
  /** host:port by which others know this coordinator. */
  readonly address: () => string
  /** Of brokers. */
  readonly sessionMs: number
  readonly assignorModules?: AssignorModules | undefined
  readonly led: (cluster: Cluster, coordinators: CoordinatorList) => Led
  /** Called once when trying again does not mend it. */
  readonly onFatal: (error: MqError) => void
}

export type CandidacyState =
  | { readonly kind: 'candidate' | 'failed' | 'closed' }
  | ({ readonly kind: 'standby' } & Standing)
  | { readonly kind: 'leading'; readonly led: Led }

const sessionPause = { firstMs: 100, mostMs: 5_000 }

/**
 * Takes part in the election, over one session of the registry after another. States:
 *    candidate → leading             it won the election and took the lead
 *    candidate → standby             another leads
 *    standby → candidate → leading   the other one's session has ended
 *    leading → candidate             deposed, or the session is over: held requests end at once with `not_coordinator`,
 *                                    what it knew is dropped, and it begins anew with a new session
 *    standby → candidate             the session is over
 *    any → failed                    trying again does not mend it; `onFatal` was called
 *    any → closed
 */
export class Candidacy {
  readonly #options: CandidacyOptions
  readonly #stop = new AbortController()
  readonly #decided = deferred()
  #isDecided = false
  #state: CandidacyState = { kind: 'candidate' }
  #clusterId: string | undefined
  #elections = 0
  #highestEpoch = 0
  /** Of the counters, at the end of its last leadership. */
  #highestVersion = 0
  #running: Promise<void> = Promise.resolve()

  constructor(options: CandidacyOptions) {
    this.#options = options
  }

  get state(): CandidacyState {
    return this.#state
  }

  /** undefined while there is no cluster yet. */
  get clusterId(): string | undefined {
    return this.#clusterId
  }

  /** How often it has taken the lead. */
  get elections(): number {
    return this.#elections
  }

  /** Resolves when it leads, or another does. @throws MqError what went wrong before that */
  start(): Promise<void> {
    this.#running = this.#run()
    return this.#decided.promise
  }

  /** Leads no more, with its session standing: what is under way may still be written. */
  retire(): void {
    const before = this.#state
    this.#state = { kind: 'closed' }
    if (before.kind === 'leading') before.led.cluster.close()
  }

  /** Gives the session back, so that a successor need not wait for it to end. */
  async close(): Promise<void> {
    this.retire()
    this.#stop.abort(new MqError('shutting_down', 'the coordinator is stopping'))
    await this.#running
  }

  async #run(): Promise<void> {
    const { random, clock, log } = this.#options
    const { signal } = this.#stop
    const backoff = new Backoff(random, sessionPause)
    while (!signal.aborted) {
      const { elections } = this
      try {
        await this.#takePart()
      } catch (thrown) {
        const error = asMqError(thrown)
        if (signal.aborted) return
        if (!this.#isDecided) return this.#decided.reject(error)
        log.warn('coordinator_session_over', { error: error.message })
        if (isLasting(error)) return this.#fail(error)
      }
      if (this.elections > elections) backoff.reset()
      this.#become({ kind: 'candidate' })
      await sleep(clock, backoff.nextMs(), signal)
    }
  }

  /** Stands for election over one session, and leads when elected. @throws MqError why it is over */
  async #takePart(): Promise<void> {
    const { registry, clock, random, id, address } = this.#options
    const ended = new AbortController()
    const session = await registry.openSession((reason) => {
      const what = `the session with the registry has ended: ${asMqError(reason).what}`
      ended.abort(new MqError('registry_unavailable', what, { cause: reason }))
    })
    const over = AbortSignal.any([ended.signal, this.#stop.signal])
    const self = { id, address: address(), term: randomName(random) }
    const coordinators = new CoordinatorList({ session, clock, self, over })
    const listing = coordinators.keep()
    try {
      const standby = (standing: Standing): void => this.#stand(standing)
      await new Election({ session, clock, random, self, over, standby }).won()
      await this.#lead({ session, coordinators, self, over })
    } finally {
      ended.abort()
      await listing
      await session.close()
    }
  }

  #stand(standing: Standing): void {
    this.#checkCluster(standing.clusterId)
    this.#clusterId = standing.clusterId
    const before = this.#state
    this.#become({ kind: 'standby', ...standing })
    if (before.kind !== 'standby' || before.leader !== standing.leader)
      this.#options.log.info('coordinator_standby', { leader: standing.leader })
    this.#decide()
  }

  /** Leads until deposed. @throws MqError why it is over */
  async #lead({ session, coordinators, self, over }: Elected): Promise<void> {
    const { sessionMs, clock, random, assignorModules } = this.#options
    const deposed: Deferred<MqError> = deferred()
    const observe = (event: ClusterEvent): void => {
      if (event.kind === 'deposed') {
        // At once: no request may be answered any more as by a leader.
        this.#become({ kind: 'candidate' })
        deposed.resolve(event.error)
      }
      report(event, this.#options.log)
    }
    this.#checkCluster(await readClusterId(session))
    const given = { session, clock, random, sessionMs, assignorModules, observe }
    const cluster = await Cluster.lead({ ...given, coordinator: self.address })
    const end = (): void => {
      const reason = asMqError(over.reason)
      if (this.#stop.signal.aborted) deposed.resolve(reason)
      else cluster.leadership.depose(reason)
    }
    try {
      throwIfOver(over)
      over.addEventListener('abort', end)
      this.#begin(cluster, coordinators)
      throw await deposed.promise
    } finally {
      over.removeEventListener('abort', end)
      cluster.close()
      const { countersVersion } = cluster.leadership
      this.#highestVersion = Math.max(this.#highestVersion, countersVersion)
    }
  }

  #begin(cluster: Cluster, coordinators: CoordinatorList): void {
    const { led, log, address } = this.#options
    const { leadership, clusterId } = cluster
    const { epoch } = leadership
    if (leadership.deposed !== undefined) throw leadership.deposed
    if (epoch <= this.#highestEpoch) {
      const what = `the registry gave epoch ${epoch}, after it had given ${this.#highestEpoch}`
      throw new MqError('registry_behind', what)
    }
    if (leadership.countersVersion < this.#highestVersion) {
      const what = `the registry has had ${leadership.countersVersion} writes, and ${this.#highestVersion} when this coordinator led`
      throw new MqError('registry_behind', what)
    }
    this.#highestEpoch = epoch
    this.#clusterId = clusterId
    this.#elections += 1
    this.#become({ kind: 'leading', led: led(cluster, coordinators) })
    log.info('coordinator_leading', { address: address(), clusterId, epoch })
    this.#decide()
  }

  /** A registry that was emptied or exchanged under a cluster that runs must not become a new one. */
  #checkCluster(found: string | undefined): void {
    if (this.#clusterId === undefined || found === this.#clusterId) return
    const holds = found === undefined ? 'holds no cluster any more' : `holds cluster ${found} now`
    const what = `the registry ${holds}, and this coordinator serves ${this.#clusterId}`
    throw new MqError(found === undefined ? 'registry_behind' : 'foreign_cluster', what)
  }

  #become(state: CandidacyState): void {
    if (this.#state.kind !== 'closed' && this.#state.kind !== 'failed') this.#state = state
  }

  #decide(): void {
    this.#isDecided = true
    this.#decided.resolve()
  }

  #fail(error: MqError): void {
    this.#become({ kind: 'failed' })
    this.#options.onFatal(error)
  }
}

interface Elected {
  readonly session: RegistrySession
  readonly coordinators: CoordinatorList
  readonly self: Candidate
  readonly over: AbortSignal
}

/** Whether trying again does not mend it: the registry's content is not ours to use, or it is our own bug. */
function isLasting(error: MqError): boolean {
  return error.retriable === 'no' || error.name === 'internal'
}

function report(event: ClusterEvent, log: Log): void {
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
    case 'group_reset': {
      const { group, topicId, operator, moves } = event
      return log.info(event.kind, { group, topicId, operator, moves: JSON.stringify(moves) })
    }
    case 'deposed':
      return log.error('coordinator_deposed', { error: event.error.message })
    default:
      return event satisfies never
  }
}
