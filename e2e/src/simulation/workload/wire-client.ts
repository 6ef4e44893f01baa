import { type Clock, type Random, sleep } from '@popmq/kit'
import {
  type Exchange,
  isMqError,
  metadata,
  MqError,
  type ReplyOf,
  type TopicInfo,
} from '@popmq/protocol'
import { Caller, type Transport } from '@popmq/transport'

export interface WireClientParts {
  readonly name: string
  readonly transport: Transport
  readonly clock: Clock
  readonly random: Random
  /** host:port of the coordinator. */
  readonly coordinator: string
}

export type Routes = ReplyOf<typeof metadata>

const callTimeoutMs = 3_000
const longestTryMs = 120_000

/**
 * A client that speaks the protocol and hides nothing: no batching, no routes kept behind one's back, no retry but the
 * ones asked for. It shows what a broker does; what the public client makes of it is judged beside it.
 */
export class WireClient {
  readonly parts: WireClientParts
  readonly #callers = new Map<string, Promise<Caller>>()

  constructor(parts: WireClientParts) {
    this.parts = parts
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

  /** Asks the coordinator once. */
  async ask<Q extends object, R>(exchange: Exchange<Q, R>, request: Q): Promise<R> {
    const caller = await this.caller(this.parts.coordinator)
    const { reply } = await caller.call(exchange, request, { timeoutMs: callTimeoutMs })
    return reply
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
