import { Backoff, type Clock, type Random, sleep } from '@popmq/kit'
import { asMqError, type Exchange, isMqError, type MqError } from '@popmq/protocol'
import { abortable, throwIfAborted } from './aborting.ts'
import type { ConnectionPool } from './connection-pool.ts'

export interface CoordinatorCall {
  /** How long it is tried, in ms. */
  readonly withinMs: number
  /** Whether carrying it out twice does no harm: then it is tried again although it may have been carried out. */
  readonly isRepeatable: boolean
  readonly signal?: AbortSignal
}

export interface CoordinatorsDeps {
  readonly pool: ConnectionPool
  readonly clock: Clock
  readonly random: Random
  /** How long one request may go unanswered, in ms. */
  readonly requestTimeoutMs: number
}

const roundPause = { firstMs: 50, mostMs: 1_000 }

/** The coordinators of a cluster. Asks the one that answered last, then the others in turn. */
export class Coordinators {
  readonly #addresses: readonly string[]
  readonly #deps: CoordinatorsDeps
  #current = 0

  constructor(addresses: readonly string[], deps: CoordinatorsDeps) {
    this.#addresses = addresses
    this.#deps = deps
  }

  /**
   * The reply of the first coordinator that gives one.
   * @throws MqError what the coordinator answered; `unreachable`, `connection_lost`, `timed_out`, `aborted`, `closed`
   */
  async call<Q extends object, R>(
    exchange: Exchange<Q, R>,
    request: Q,
    how: CoordinatorCall,
  ): Promise<R> {
    const { clock, random } = this.#deps
    const endsAt = clock.monotonic() + how.withinMs
    const backoff = new Backoff(random, roundPause)
    for (let tries = 1; ; tries += 1) {
      throwIfAborted(how.signal)
      try {
        return await this.#ask(exchange, request, { ...how, withinMs: endsAt - clock.monotonic() })
      } catch (thrown) {
        const error = asMqError(thrown)
        const isLater = isForLater(error)
        const roundMs = tries % this.#addresses.length === 0 ? backoff.nextMs() : 0
        const pauseMs = isLater ? Math.max(roundMs, error.retryAfterMs ?? 0) : roundMs
        const isOver = clock.monotonic() + pauseMs >= endsAt
        if (isOver || !(isLater || mayAskAnother(error, how.isRepeatable))) throw error
        if (!isLater) this.#current = (this.#current + 1) % this.#addresses.length
        await sleep(clock, pauseMs, how.signal)
      }
    }
  }

  async #ask<Q extends object, R>(
    exchange: Exchange<Q, R>,
    request: Q,
    { withinMs, signal }: CoordinatorCall,
  ): Promise<R> {
    const address = this.#addresses[this.#current] ?? ''
    const caller = await abortable(this.#deps.pool.caller(address), signal)
    const timeoutMs = Math.max(1, Math.min(this.#deps.requestTimeoutMs, withinMs))
    const { reply } = await caller.call(exchange, request, {
      timeoutMs,
      ...(signal === undefined ? {} : { signal }),
    })
    return reply
  }
}

/** Nothing was done, and the coordinator says when to ask again: a broker is on its way, another change is under way. */
function isForLater(error: MqError): boolean {
  return error.retriable === 'yes' && error.retryAfterMs !== undefined
}

function mayAskAnother(error: MqError, isRepeatable: boolean): boolean {
  if (isMqError(error, 'unreachable', 'not_coordinator', 'shutting_down', 'too_many_requests'))
    return true
  return isRepeatable && isMqError(error, 'connection_lost', 'timed_out', 'registry_unavailable')
}
