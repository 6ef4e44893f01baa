import type { Clock, Timer } from '@popmq/kit'
import { asMqError, fetch, offsets } from '@popmq/protocol'
import type { ConnectionPool } from './connection-pool.ts'
import type { ReadAhead } from './core/read-ahead.ts'
import { fetchedPartitions, isVoid, locatedPartitions } from './core/reader-request.ts'
import type { ReaderRequest } from './core/reader-request.ts'
import type { TagFilter } from './core/record-reader.ts'
import type { RouteCache } from './route-cache.ts'

export interface FetchLoopDeps {
  readonly clock: Clock
  readonly pool: ConnectionPool
  readonly routes: RouteCache
  /** How long one request may go unanswered, in ms, beyond the time that the broker may hold it. */
  readonly requestTimeoutMs: number
  readonly readAhead: ReadAhead
  /** Something was answered: look again. */
  readonly progressed: () => void
}

export interface FetchLoopOptions {
  readonly maxBytes: number
  readonly waitMs: number
  readonly filter: TagFilter | undefined
}

/** Carries out what the read-ahead decides: sends its requests, tells it the answers, wakes it in time. */
export class FetchLoop {
  readonly #options: FetchLoopOptions
  readonly #deps: FetchLoopDeps
  /** Requests under way. */
  readonly #asked = new Map<ReaderRequest, AbortController>()
  #isScheduled = false
  #isStopped = false
  #timer: Timer | undefined
  /** Somebody waits for messages. */
  isAwaited = false

  constructor(options: FetchLoopOptions, deps: FetchLoopDeps) {
    this.#options = options
    this.#deps = deps
  }

  /** Makes the requests that are due, once all that is being changed now has been changed. */
  schedule(): void {
    if (this.#isScheduled || this.#isStopped) return
    this.#isScheduled = true
    queueMicrotask(() => {
      this.#isScheduled = false
      this.#pump()
    })
  }

  stop(): void {
    this.#isStopped = true
    this.#timer?.cancel()
    for (const giveUp of this.#asked.values()) giveUp.abort()
  }

  #pump(): void {
    if (this.#isStopped) return
    const { clock, readAhead, routes } = this.#deps
    const now = clock.monotonic()
    this.#cancelVoid()
    for (const request of readAhead.requests(now, this.isAwaited)) void this.#ask(request)
    if (readAhead.takeRouteWish()) routes.wish()
    this.#timer?.cancel()
    const { wakesAt } = readAhead
    if (wakesAt === undefined) return
    this.#timer = clock.after(Math.max(1, wakesAt - now), () => this.schedule())
  }

  /** Gives up requests whose every answer would be void: they would only keep others from being made. */
  #cancelVoid(): void {
    for (const [request, giveUp] of this.#asked) if (isVoid(request)) giveUp.abort()
  }

  async #ask(request: ReaderRequest): Promise<void> {
    const { clock, readAhead, progressed } = this.#deps
    const giveUp = new AbortController()
    this.#asked.set(request, giveUp)
    try {
      if (request.kind === 'fetch') await this.#fetch(request, giveUp.signal)
      else await this.#locate(request, giveUp.signal)
    } catch (error) {
      readAhead.failed(request, asMqError(error), clock.monotonic())
    } finally {
      this.#asked.delete(request)
    }
    if (this.#isStopped) return
    progressed()
    this.schedule()
  }

  async #fetch(request: ReaderRequest, signal: AbortSignal): Promise<void> {
    const { pool, clock, readAhead, requestTimeoutMs } = this.#deps
    const { maxBytes, waitMs, filter } = this.#options
    const caller = await pool.caller(request.address)
    const fields = { partitions: fetchedPartitions(request, filter), waitMs, maxBytes }
    const timeoutMs = waitMs + requestTimeoutMs
    const { reply, bytes } = await caller.call(fetch, fields, { timeoutMs, signal })
    readAhead.fetched(request, { results: reply.results, bytes }, clock.monotonic())
  }

  async #locate(request: ReaderRequest, signal: AbortSignal): Promise<void> {
    const { pool, clock, readAhead, requestTimeoutMs } = this.#deps
    const caller = await pool.caller(request.address)
    const fields = { partitions: locatedPartitions(request) }
    const { reply } = await caller.call(offsets, fields, { timeoutMs: requestTimeoutMs, signal })
    readAhead.located(request, reply.results, clock.monotonic())
  }
}
