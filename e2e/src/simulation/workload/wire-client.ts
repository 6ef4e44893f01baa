import { type Clock, type Random, sleep } from '@popmq/kit'
import {
  type Exchange,
  isMqError,
  metadata,
  MqError,
  type ReplyOf,
  type TopicInfo,
} from '@popmq/protocol'
import { Caller, LeaderSearch, type Transport } from '@popmq/transport'

export interface WireClientParts {
  readonly name: string
  readonly transport: Transport
  readonly clock: Clock
  readonly random: Random
  /** host:port of each coordinator. */
  readonly coordinators: readonly string[]
}

export type Routes = ReplyOf<typeof metadata>

const callTimeoutMs = 3_000
/** What is said by, or of, a coordinator that does not lead. */
const notLed = [
  'not_coordinator',
  'unreachable',
  'connection_lost',
  'timed_out',
  'shutting_down',
  'registry_unavailable',
] as const
const longestTryMs = 120_000

/**
 * A client that speaks the protocol and hides nothing: no batching, no routes kept behind one's back, no retry but the
 * ones asked for. It shows what a broker does; what the public client makes of it is judged beside it.
 */
export class WireClient {
  readonly parts: WireClientParts
  readonly #callers = new Map<string, Promise<Caller>>()
  readonly #search: LeaderSearch

  constructor(parts: WireClientParts) {
    this.parts = parts
    this.#search = new LeaderSearch(parts.coordinators)
  }

  /** The open connection to `address`, or a new one. */
  caller(address: string): Promise<Caller> {
    const known = this.#callers.get(address)
    if (known !== undefined) return known
    const { transport, clock, name } = this.parts
    const opening = Caller.connect(transport, address, { clock, client: name })
    this.#callers.set(address, opening)
    const forget = (): void => {
      if (this.#callers.get(address) === opening) this.#callers.delete(address)
    }
    opening.then((caller) => caller.onClosed(forget), forget)
    return opening
  }

  /** Asks one coordinator once; where it does not answer as the leader, the next try is another's. */
  async ask<Q extends object, R>(exchange: Exchange<Q, R>, request: Q): Promise<R> {
    const address = this.#search.current
    try {
      const caller = await this.caller(address)
      const { reply } = await caller.call(exchange, request, { timeoutMs: callTimeoutMs })
      return reply
    } catch (error) {
      if (isMqError(error, ...notLed) && this.#search.current === address)
        this.#search.passOn(error)
      throw error
    }
  }

  /** Asks until there is an answer; for what may be done twice. @throws MqError what the coordinator refuses for good */
  insist<Q extends object, R>(exchange: Exchange<Q, R>, request: Q): Promise<R> {
    return this.insistOn(() => this.ask(exchange, request))
  }

  async insistOn<T>(attempt: () => Promise<T>): Promise<T> {
    const { clock, random } = this.parts
    const endsMs = clock.monotonic() + longestTryMs
    for (;;) {
      try {
        return await attempt()
      } catch (error) {
        if (!isMqError(error) || error.retriable === 'no' || clock.monotonic() > endsMs) throw error
        await sleep(clock, 50 + random.next() * 200)
      }
    }
  }

  routes(): Promise<Routes> {
    return this.insist(metadata, {})
  }

  /** The connection to the broker that leads a partition. @throws MqError `not_leader` when there is none */
  async leader(routes: Routes, topic: TopicInfo, partition: number): Promise<Caller> {
    const set = routes.sets.find(({ id }) => id === topic.sets[partition])
    if (set === undefined || set.address === '') throw new MqError('not_leader', 'nobody leads')
    return this.caller(set.address)
  }
}
