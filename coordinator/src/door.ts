import { assert, type Clock, type Deferred, deferred, type Log } from '@popmq/kit'
import { isMqError, type MqError } from '@popmq/protocol'
import {
  type Channel,
  respond,
  type ResponderEvent,
  type Route,
  routes,
  type Routes,
} from '@popmq/transport'
import type { Cluster } from './core/cluster.ts'

/** Who answers at this moment: the cluster that is led, with its routes, or nobody. */
export type Answering =
  | { readonly kind: 'leading'; readonly led: Led }
  /** Every request but hello is refused. */
  | { readonly kind: 'refusing'; readonly refusal: () => MqError }

/** What is led from winning the election to being deposed. */
export interface Led {
  readonly cluster: Cluster
  readonly routes: Routes
}

export interface DoorOptions {
  readonly clock: Clock
  readonly log: Log
  readonly observe?: (event: ResponderEvent) => void
  readonly clusterId: () => string
  readonly answering: () => Answering
}

/** Where requests come in: the connections, which outlive any leader, and the requests being handled. */
export class Door {
  readonly #options: DoorOptions
  readonly #redirect: Route
  #lastConnection = 0
  #connections = 0
  #redirects = 0
  #running = 0
  #idle: Deferred<void> | undefined

  constructor(options: DoorOptions) {
    this.#options = options
    // One for all types of request: which ones there are is for the leader to say.
    this.#redirect = this.#counted({ type: 0, name: 'redirect', answer: () => this.#refuse() })
  }

  get connections(): number {
    return this.#connections
  }

  /** How many requests were refused because another leads, or none. */
  get redirects(): number {
    return this.#redirects
  }

  /** The routes to a cluster that is led, as this door answers by them. */
  leaderRoutes(all: readonly Route[], cluster: Cluster): Routes {
    return routes(...all.map((each) => this.#counted(certain(each, cluster))))
  }

  accept(channel: Channel): void {
    const { clock, clusterId, answering } = this.#options
    this.#lastConnection += 1
    this.#connections += 1
    respond(channel, {
      role: 'coordinator',
      clusterId,
      clock,
      // Asked for each request: who leads may change while the connection stands.
      routes: {
        get: (type) => {
          const now = answering()
          return now.kind === 'leading' ? now.led.routes.get(type) : this.#redirect
        },
      },
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

  #refuse(): never {
    this.#redirects += 1
    const now = this.#options.answering()
    assert(now.kind === 'refusing', 'a leader redirects nobody')
    throw now.refusal()
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
    const { log, observe, answering } = this.#options
    if (event.kind === 'answered') {
      this.#running -= 1
      if (this.#running === 0) this.#idle?.resolve()
    } else if (event.kind === 'closed') {
      this.#connections -= 1
      const now = answering()
      if (now.kind === 'leading') now.led.cluster.connectionClosed(event.connection.id)
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

/** Refusals that make a broker stop or a member drop what it holds. */
const endings = [
  'broker_fenced',
  'registry_behind',
  'data_missing',
  'broker_id_in_use',
  'member_unknown',
] as const

/**
 * A leader that was paused and replaced knows nothing of what came since: it may take a broker that has the newest epoch
 * for one from the future. So what ends something is said only once the registry has confirmed who leads.
 */
function certain(each: Route, { leadership }: Pick<Cluster, 'leadership'>): Route {
  const refuse = async (error: unknown): Promise<never> => {
    if (isMqError(error, ...endings)) await leadership.confirm()
    throw error
  }
  return {
    ...each,
    answer: (fields, context) => {
      try {
        const answer = each.answer(fields, context)
        return answer instanceof Promise ? answer.catch(refuse) : answer
      } catch (error) {
        return refuse(error)
      }
    },
  }
}
