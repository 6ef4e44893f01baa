import { Backoff, type Clock, type Log, type Random, sleep } from '@popmq/kit'
import {
  asMqError,
  brokerOpen,
  brokerSession,
  type Epoch,
  isMqError,
  MqError,
  type ReplyOf,
  type RequestOf,
  type TopicInfo,
} from '@popmq/protocol'
import { Caller, LeaderSearch, type Reply, type Transport } from '@popmq/transport'

export interface LinkParts {
  readonly transport: Transport
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  /** host:port of each coordinator: tried in turn, until one answers or names the one that leads. */
  readonly coordinators: readonly string[]
  readonly brokerId: number
  /** Random text of this process. */
  readonly incarnation: string
}

/** What the broker's data says at start. */
export interface BrokerFacts {
  readonly address: string
  readonly clusterId: string | undefined
  readonly highestTopicId: number
  readonly highestEpoch: number
}

export interface OpenedSession extends ReplyOf<typeof brokerOpen> {
  readonly topics: readonly TopicInfo[]
}

export interface LinkEvents {
  /** Takes the whole list of topics anew; the coordinator is told when this returns. */
  readonly topics: (topics: readonly TopicInfo[]) => void
  /** Another process has this broker's id: this one must stop. */
  readonly fenced: (error: MqError) => void
}

const holdMs = 2_000
const answerMs = 5_000

/**
 * The broker's end of its session with the coordinator that leads, whichever that is.
 *
 *     opening ──broker_open──▶ open ──held request answered──▶ open      topics applied, then told with the next one
 *     open ──connection lost, none leads──▶ open                          tried again; the broker leads on
 *     open ──not_coordinator──▶ open                                      at once with the one that is named
 *     open ──broker_fenced──▶ fenced                                      for good
 *     any ──close──▶ closed                                               the session is given back
 */
export class CoordinatorLink {
  readonly #parts: LinkParts
  readonly #backoff: Backoff
  readonly #stop = new AbortController()
  readonly #search: LeaderSearch
  #caller: Caller | undefined
  #epoch: Epoch | undefined
  #version = 0
  #loop: Promise<void> = Promise.resolve()

  constructor(parts: LinkParts) {
    this.#parts = parts
    this.#backoff = new Backoff(parts.random, { firstMs: 50, mostMs: 2_000 })
    this.#search = new LeaderSearch(parts.coordinators)
  }

  /**
   * Opens the session and learns the topics; tries until a coordinator answers.
   * @throws MqError `foreign_cluster`, `registry_behind`, `data_missing`, `broker_id_in_use`, `closed`
   */
  async open(facts: BrokerFacts): Promise<OpenedSession> {
    const { brokerId, incarnation } = this.#parts
    const { clusterId, ...known } = facts
    const request = {
      brokerId,
      incarnation,
      ...known,
      ...(clusterId === undefined ? {} : { clusterId }),
    }
    const opened = await this.#take(request)
    this.#epoch = opened.reply.epoch
    const first = await this.#insist((caller) =>
      caller.call(brokerSession, this.#session(0), { timeoutMs: answerMs }),
    )
    this.#version = first.reply.version
    return { ...opened.reply, topics: first.reply.topics ?? [] }
  }

  /** The id can seem to be in use by this very broker, as it was before it was killed: that session is waited out once. */
  async #take(request: RequestOf<typeof brokerOpen>): Promise<Reply<ReplyOf<typeof brokerOpen>>> {
    const open = (caller: Caller): Promise<Reply<ReplyOf<typeof brokerOpen>>> =>
      caller.call(brokerOpen, request, { timeoutMs: answerMs })
    try {
      return await this.#insist(open)
    } catch (error) {
      if (!isMqError(error, 'broker_id_in_use') || error.retryAfterMs === undefined) throw error
      this.#parts.log.warn('broker_id_in_use', { waitMs: error.retryAfterMs })
      await sleep(this.#parts.clock, error.retryAfterMs + 100, this.#stop.signal)
      return this.#insist(open)
    }
  }

  /** Keeps the session; the topics told by `open` are applied already. */
  keep(events: LinkEvents): void {
    this.#loop = this.#keep(events)
  }

  /** Gives the session back, so that a successor need not wait for it to end. */
  async close(): Promise<void> {
    this.#stop.abort()
    await this.#loop
    const caller = this.#caller
    if (caller === undefined || caller.closed || this.#epoch === undefined) return
    try {
      await caller.call(brokerSession, { ...this.#session(0), leaving: true }, { timeoutMs: 1_000 })
    } catch (error) {
      this.#parts.log.debug('session_not_given_back', { error: asMqError(error).message })
    }
    await caller.close()
  }

  async #keep({ topics, fenced }: LinkEvents): Promise<void> {
    const { signal } = this.#stop
    while (!signal.aborted) {
      try {
        const { reply } = await this.#insist((caller) =>
          caller.call(brokerSession, this.#session(holdMs), {
            timeoutMs: holdMs + answerMs,
            signal,
          }),
        )
        if (reply.topics !== undefined) topics(reply.topics)
        this.#version = reply.version
      } catch (error) {
        if (signal.aborted) return
        fenced(asMqError(error))
        return
      }
    }
  }

  #session(waitMs: number): RequestOf<typeof brokerSession> {
    return {
      brokerId: this.#parts.brokerId,
      epoch: this.#epoch as Epoch,
      appliedVersion: this.#version,
      waitMs,
    }
  }

  /** Calls until the leader answers. @throws what will not change by trying again */
  async #insist<T>(call: (caller: Caller) => Promise<T>): Promise<T> {
    const { signal } = this.#stop
    for (;;) {
      if (signal.aborted) throw new MqError('closed', 'the broker is stopping')
      try {
        const answer = await call(await this.#connected())
        this.#backoff.reset()
        this.#search.answered()
        return answer
      } catch (thrown) {
        const error = asMqError(thrown)
        if (isLasting(error)) throw error
        // A caller that is open stays so: the session is given back over it.
        if (!signal.aborted) await this.#turn(error)
      }
    }
  }

  /** To the next coordinator; when all were asked, after a while. */
  async #turn(error: MqError): Promise<void> {
    const { log, clock } = this.#parts
    const from = this.#search.current
    const isRoundOver = this.#search.passOn(error)
    const leastMs = Math.min(error.retryAfterMs ?? 0, 2_000)
    const waitMs = isRoundOver ? Math.max(this.#backoff.nextMs(), leastMs) : 0
    const { current: to } = this.#search
    log.warn('coordinator_away', { error: error.message, from, to, waitMs: Math.round(waitMs) })
    // Not waited for: a process that was stopped takes its time to close.
    void this.#caller?.close()
    this.#caller = undefined
    if (waitMs > 0) await sleep(clock, waitMs, this.#stop.signal)
  }

  async #connected(): Promise<Caller> {
    if (this.#caller !== undefined && !this.#caller.closed) return this.#caller
    const { transport, clock, brokerId } = this.#parts
    this.#caller = await Caller.connect(transport, this.#search.current, {
      clock,
      client: `broker-${brokerId}`,
      signal: this.#stop.signal,
    })
    return this.#caller
  }
}

/** Whether trying again cannot help. */
function isLasting(error: MqError): boolean {
  return error.retriable === 'no' && !isMqError(error, 'closed')
}
