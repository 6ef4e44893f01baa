import { Backoff, type Clock, type Random, sleep } from '@popmq/kit'
import { asMqError, type Exchange, isMqError, type MqError } from '@popmq/protocol'
import { LeaderSearch } from '@popmq/transport'
import { abortable, throwIfAborted } from './aborting.ts'
import type { ConnectionPool } from './connection-pool.ts'

export interface CoordinatorCall {
  /** How long it is tried, in ms. */
  readonly withinMs: number
  /** How long a coordinator may hold one try, in ms; the time limit of a request comes on top. @defaultValue 0 */
  readonly holdMs?: number
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

/**
 * The coordinators of a cluster. Asks the one that answered last; when that does not lead any more, the one that it
 * names, be it configured or not, then the others in turn.
 */
export class Coordinators {
  readonly #addresses: readonly string[]
  readonly #deps: CoordinatorsDeps
  /** Where the next call begins. */
  #first: string

  constructor(addresses: readonly string[], deps: CoordinatorsDeps) {
    this.#addresses = addresses
    this.#deps = deps
    this.#first = addresses[0] ?? ''
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
    const search = new LeaderSearch(this.#addresses, this.#first)
    for (;;) {
      throwIfAborted(how.signal)
      const { current } = search
      try {
        const left = { ...how, withinMs: endsAt - clock.monotonic() }
        const reply = await this.#ask(current, { exchange, request }, left)
        this.#first = current
        return reply
      } catch (thrown) {
        const error = asMqError(thrown)
        const isLater = isForLater(error)
        if (!isLater && !mayAskAnother(error, how.isRepeatable)) throw error
        const waits = isLater || this.#passOn(search, error)
        const waitMs = waits ? Math.max(backoff.nextMs(), error.retryAfterMs ?? 0) : 0
        if (clock.monotonic() + waitMs >= endsAt) throw error
        if (waits) await sleep(clock, waitMs, how.signal)
      }
    }
  }

  /** @returns whether all were asked: then wait */
  #passOn(search: LeaderSearch, error: MqError): boolean {
    const { current } = search
    const isRoundOver = search.passOn(error)
    // Calls to come need not begin with one that did not answer, which can take its whole time limit to find out.
    if (this.#first === current) this.#first = search.current
    return isRoundOver
  }

  async #ask<Q extends object, R>(
    address: string,
    { exchange, request }: { exchange: Exchange<Q, R>; request: Q },
    { withinMs, holdMs = 0, signal }: CoordinatorCall,
  ): Promise<R> {
    const caller = await abortable(this.#deps.pool.caller(address), signal)
    const timeoutMs = Math.max(1, Math.min(holdMs + this.#deps.requestTimeoutMs, withinMs))
    const { reply } = await caller.call(exchange, request, {
      timeoutMs,
      ...(signal === undefined ? {} : { signal }),
    })
    return reply
  }
}

/** Nothing was done, and the coordinator says when to ask again: a broker is on its way, another change is under way. */
function isForLater(error: MqError): boolean {
  return (
    error.retriable === 'yes' &&
    error.retryAfterMs !== undefined &&
    !isMqError(error, 'not_coordinator')
  )
}

function mayAskAnother(error: MqError, isRepeatable: boolean): boolean {
  if (isMqError(error, 'unreachable', 'not_coordinator', 'shutting_down', 'too_many_requests'))
    return true
  return isRepeatable && isMqError(error, 'connection_lost', 'timed_out', 'registry_unavailable')
}
