import { Backoff, type Clock, type Log, type Random, sleep } from '@popmq/kit'
import {
  asMqError,
  brokerOpen,
  brokerSession,
  type Epoch,
  type GroupId,
  groupReport,
  type HandleKey,
  isMqError,
  MqError,
  type ReplyOf,
  type RequestOf,
  type ServedGroup,
  type TopicInfo,
  type WantedReport,
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
  readonly groups: readonly ServedGroup[]
  /** Newest first: handles are made with the first, and read with all. */
  readonly handleKeys: readonly HandleKey[]
}

/** Each list whole; absent when nothing in it has changed. */
export type LinkNews = Pick<ReplyOf<typeof brokerSession>, 'topics' | 'groups' | 'handleKeys'>

/** Where the messages of a group are, as this broker knows it now. */
export type LinkReport = Pick<RequestOf<typeof groupReport>, 'partitions' | 'delayed'>

export interface LinkEvents {
  /**
   * Takes news; the coordinator is told that they are applied when this resolves. One at a time, and meanwhile the session
   * is kept. What it throws ends the link as `fenced` does.
   */
  readonly update: (news: LinkNews) => Promise<void>
  /** What the coordinator wants to know of a group; of one that is not known here, empty lists. */
  readonly report: (groupId: GroupId) => Promise<LinkReport>
  /** This broker must stop: another process has its id, or it could not take news. */
  readonly fenced: (error: MqError) => void
}

const holdMs = 2_000
const answerMs = 5_000
/** Of one request: so many fit into its limits. */
const partitionsPerReport = 1_000

/**
 * The broker's end of its session with the coordinator that leads, whichever that is.
 *
 *     opening ──broker_open──▶ open ──held request answered──▶ open      news applied, then told with the next one
 *     open ──news not applied yet──▶ open                                 it renews meanwhile, under the version before
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
  /** Of what is applied: the coordinator waits for it with whoever made the change. */
  #version = 0
  #sessionMs = 0
  /** Asked for with the answer that `open` had. */
  #wanted: readonly WantedReport[] = []
  #loop: Promise<void> = Promise.resolve()

  constructor(parts: LinkParts) {
    this.#parts = parts
    this.#backoff = new Backoff(parts.random, { firstMs: 50, mostMs: 2_000 })
    this.#search = new LeaderSearch(parts.coordinators)
  }

  /**
   * Opens the session and learns topics, groups and keys; tries until a coordinator answers.
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
    const { version, topics = [], groups = [], handleKeys = [], wanted = [] } = first.reply
    this.#version = version
    this.#sessionMs = opened.reply.sessionMs
    this.#wanted = wanted
    return { ...opened.reply, topics, groups, handleKeys }
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

  /** Keeps the session; what `open` told is applied already. */
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

  async #keep(events: LinkEvents): Promise<void> {
    const { signal } = this.#stop
    this.#reportAll(this.#wanted, events)
    while (!signal.aborted) {
      try {
        const { version, wanted, ...news } = await this.#renew(holdMs)
        this.#reportAll(wanted, events)
        if (isNews(news)) await this.#apply(news, events)
        // Stopped meanwhile: nobody is told that they are applied.
        if (!signal.aborted) this.#version = version
      } catch (error) {
        if (signal.aborted) return
        events.fenced(asMqError(error))
        return
      }
    }
  }

  /** Waits until they are applied, or it stops. What is told meanwhile is told again afterwards. */
  async #apply(news: LinkNews, events: LinkEvents): Promise<void> {
    const { signal } = this.#stop
    const over = new AbortController()
    const end = (): void => over.abort()
    signal.addEventListener('abort', end, { signal: over.signal })
    const failed = events
      .update(news)
      .then(() => undefined, asMqError)
      .finally(end)
    await this.#keepUntil(over.signal, events)
    if (signal.aborted) return
    const error = await failed
    if (error !== undefined) throw error
  }

  async #keepUntil(over: AbortSignal, events: LinkEvents): Promise<void> {
    for (;;) {
      await sleep(this.#parts.clock, this.#sessionMs / 3, over)
      if (over.aborted) return
      const { wanted } = await this.#renew(0)
      this.#reportAll(wanted, events)
    }
  }

  async #renew(waitMs: number): Promise<ReplyOf<typeof brokerSession>> {
    const { signal } = this.#stop
    const { reply } = await this.#insist((caller) =>
      caller.call(brokerSession, this.#session(waitMs), { timeoutMs: waitMs + answerMs, signal }),
    )
    return reply
  }

  /** Answers beside the held request. */
  #reportAll(wanted: readonly WantedReport[] = [], events: LinkEvents): void {
    for (const each of wanted) {
      this.#report(each, events).catch((error: unknown) => {
        // Whoever asked is told that these partitions are unknown; the session's own requests find out what is wrong.
        this.#parts.log.debug('report_not_sent', { error: asMqError(error).message })
      })
    }
  }

  async #report({ ticket, groupId }: WantedReport, events: LinkEvents): Promise<void> {
    const { partitions, delayed } = await events.report(groupId)
    const caller = this.#caller
    // A connection made anew may lead to a coordinator who did not ask.
    if (caller === undefined) return
    const who = { brokerId: this.#parts.brokerId, epoch: this.#epoch as Epoch, ticket }
    const options = { timeoutMs: answerMs, signal: this.#stop.signal }
    for (let at = 0; at === 0 || at < partitions.length; at += partitionsPerReport) {
      const isLast = at + partitionsPerReport >= partitions.length
      const request = {
        ...who,
        ...(isLast ? {} : { more: true }),
        partitions: partitions.slice(at, at + partitionsPerReport),
        delayed: isLast ? delayed : [],
      }
      await caller.call(groupReport, request, options)
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

function isNews({ topics, groups, handleKeys }: LinkNews): boolean {
  return topics !== undefined || groups !== undefined || handleKeys !== undefined
}

/** Whether trying again cannot help. */
function isLasting(error: MqError): boolean {
  return error.retriable === 'no' && !isMqError(error, 'closed')
}
