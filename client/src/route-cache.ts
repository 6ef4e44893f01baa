import { assert, Backoff, type Clock, type Random, sleep } from '@popmq/kit'
import { asMqError, checkName, isMqError, isSystemName, metadata, MqError } from '@popmq/protocol'
import type { ReplyOf, TopicInfo } from '@popmq/protocol'
import { abortable } from './aborting.ts'
import type { Coordinators } from './coordinators.ts'
import { RouteTable } from './core/route-table.ts'

export interface RouteCacheDeps {
  readonly coordinators: Coordinators
  readonly clock: Clock
  readonly random: Random
  /** How often routes are refreshed without a cause, in ms. */
  readonly refreshMs: number
}

export interface RouteListener {
  /** There may be new leaders or partitions. */
  routesChanged(): void
  /** The coordinator says that a topic is gone, or is another incarnation now. */
  topicGone(name: string): void
}

/** Topics that one request may name. */
const mostNames = 1_000
const pause = { firstMs: 50, mostMs: 1_000 }
/** How long one question is put to the coordinators before it is put anew. */
const roundMs = 5_000
/** After this long without a wish the next one is heeded at once. */
const calmMs = 5_000

/**
 * Keeps the routes of the topics that this client uses. One question is under way at a time; who asks meanwhile is
 * answered by the next, so an answer is never older than its question.
 */
export class RouteCache {
  readonly table = new RouteTable()
  readonly #deps: RouteCacheDeps
  readonly #interests = new Set<string>()
  readonly #listeners = new Set<RouteListener>()
  readonly #closing = new AbortController()
  readonly #backoff: Backoff
  /** The round that has not begun, and the one under way. */
  #next: Promise<void> | undefined
  #current: Promise<void> = Promise.resolve()
  /** When the refresh that was wished last begins, on the monotonic clock. */
  #refreshesAt = Number.NEGATIVE_INFINITY

  constructor(deps: RouteCacheDeps) {
    this.#deps = deps
    this.#backoff = new Backoff(deps.random, pause)
  }

  /** Adds someone to tell of changes. @returns a function that takes it back */
  listen(listener: RouteListener): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  /** Begins to refresh on a timer. */
  start(): void {
    void this.#refreshForever()
  }

  close(): void {
    this.#closing.abort()
  }

  /**
   * What is known of a topic, asking the coordinators as long as they do not answer.
   * @returns undefined when they say that it does not exist
   * @throws MqError `invalid_name`, `closed`, `aborted`, `unsupported_version`
   */
  async find(name: string, signal?: AbortSignal): Promise<TopicInfo | undefined> {
    if (!isSystemName(name)) checkName('topic', name)
    this.#interests.add(name)
    const known = this.table.topic(name)
    if (known !== undefined) return known
    await abortable(this.refresh(), signal)
    const found = this.table.topic(name)
    if (found === undefined) this.#interests.delete(name)
    return found
  }

  /**
   * What is known of topics by id, asking the coordinators as long as they do not answer where some are unknown.
   * @returns those that exist @throws as `find`
   */
  async findIds(ids: ReadonlySet<number>, signal?: AbortSignal): Promise<Map<number, TopicInfo>> {
    const found = new Map<number, TopicInfo>()
    const unknown = new Set<number>()
    for (const id of ids) {
      const known = this.table.topicOf(id)
      if (known === undefined) unknown.add(id)
      else found.set(id, known)
    }
    if (unknown.size === 0) return found
    const { topics } = await abortable(this.#ask(undefined), signal)
    for (const { id, name } of topics) {
      const topic = unknown.has(id) ? await this.find(name, signal) : undefined
      if (topic?.id === id) found.set(id, topic)
    }
    return found
  }

  /** Asks for the routes of all topics in use. Resolves when they are known. @throws as `find` */
  refresh(): Promise<void> {
    this.#next ??= this.#current.catch(notRetriable).then(() => {
      this.#next = undefined
      this.#current = this.#round()
      return this.#current
    })
    return this.#next
  }

  /** Routes seem to be out of date: refreshes soon; the more often that is said, the later. */
  wish(): void {
    const { clock } = this.#deps
    const now = clock.monotonic()
    if (this.#next !== undefined || now < this.#refreshesAt) return
    if (now > this.#refreshesAt + calmMs) this.#backoff.reset()
    const waitMs = this.#backoff.nextMs()
    this.#refreshesAt = now + waitMs
    void sleep(clock, waitMs, this.#closing.signal).then(() => this.refresh().catch(notRetriable))
  }

  async #refreshForever(): Promise<void> {
    const { signal } = this.#closing
    for (;;) {
      await sleep(this.#deps.clock, this.#deps.refreshMs, signal)
      if (signal.aborted) return
      if (this.#interests.size > 0) await this.refresh().catch(notRetriable)
    }
  }

  /** Asks until there is an answer, and takes it in. */
  async #round(): Promise<void> {
    const names = [...this.#interests]
    const asked = names.length <= mostNames ? names : undefined
    const answer = await this.#ask(asked)
    const gone = this.table.apply(answer, asked)
    for (const listener of this.#listeners) {
      for (const name of gone) listener.topicGone(name)
      listener.routesChanged()
    }
  }

  async #ask(topics: readonly string[] | undefined): Promise<ReplyOf<typeof metadata>> {
    const { coordinators, clock } = this.#deps
    const { signal } = this.#closing
    const backoff = new Backoff(this.#deps.random, pause)
    for (;;) {
      if (signal.aborted) throw new MqError('closed', 'the client is closed')
      try {
        const request = topics === undefined ? {} : { topics }
        return await coordinators.call(metadata, request, { withinMs: roundMs, isRepeatable: true })
      } catch (error) {
        if (asMqError(error).retriable === 'no') throw error
        // No answer is no reason to give up: whoever waits has a deadline of its own.
        await sleep(clock, backoff.nextMs(), signal)
      }
    }
  }
}

/** Whoever waits for the routes is told of the error; a refresh without a cause has nobody to tell. */
function notRetriable(error: unknown): void {
  assert(isMqError(error), 'asking for routes fails with an MqError')
}
