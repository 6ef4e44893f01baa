import { Backoff, type Clock, type Random, sleep } from '@popmq/kit'
import { asMqError, type Checksum, isMqError, limits, type MqError, pop } from '@popmq/protocol'
import type { PopReason, TopicId } from '@popmq/protocol'
import { abortable, aborted } from './aborting.ts'
import type { ConnectionPool } from './connection-pool.ts'
import { BrokerBoard, type PoppedBroker } from './core/broker-board.ts'
import type { LeasedMessage } from './core/leased-message.ts'
import { PopTurn } from './core/pop-turn.ts'
import { readPopped } from './core/pop-reply.ts'
import type { PopCall, PopConsumerConfig } from './pop-consumer-config.ts'
import type { GroupSource, OpenedGroup } from './pop-group.ts'
import { PopHints } from './pop-hints.ts'
import { Progress } from './progress.ts'
import { closed } from './reading.ts'
import type { RouteCache } from './route-cache.ts'
import type { Settler } from './settler.ts'

export interface PoppingDeps {
  readonly clock: Clock
  readonly random: Random
  readonly pool: ConnectionPool
  readonly routes: RouteCache
  readonly group: GroupSource
  readonly settler: Settler
  readonly crc32: Checksum
  /** How long one request may go unanswered, in ms, beyond the time that the broker may hold it. */
  readonly requestTimeoutMs: number
  /** The name told with each pop. */
  readonly consumer: string
  /** Only messages that are retried. */
  readonly retriesOnly?: boolean
}

type PoppingConfig = Pick<PopConsumerConfig, 'topics' | 'settleWithinMs'> &
  Partial<Pick<PopConsumerConfig, 'tags'>>

const restPause = { firstMs: 20, mostMs: 2_000 }
/** The group is opened for a call that would wait less: without it nothing can be said. */
const openMs = 5_000
/** A held request that is answered with nothing before this part of its wait was not held. */
const wholeWait = 0.9
/** What is under way when it is closed is waited for this long: what it brings is released. */
const lastPopMs = 1_000

/** Pops messages of any broker that leads partitions of the topics. What it pops and nobody waits for any more it releases. */
export class Popping {
  readonly #config: PoppingConfig
  readonly #deps: PoppingDeps
  readonly #board: BrokerBoard
  readonly #hints: PopHints
  readonly #unlisten: () => void
  readonly #progress: Progress
  /** Pops that no broker holds for longer than it takes. */
  readonly #brief = new Set<Promise<void>>()
  /** What was damaged on the way, until a call has told it. */
  #damage: MqError | undefined
  readonly #closing = new AbortController()
  #routedFor: OpenedGroup | undefined
  lastReason: PopReason | undefined

  constructor(config: PoppingConfig, deps: PoppingDeps) {
    this.#config = config
    this.#deps = deps
    this.#progress = new Progress(deps.clock)
    this.#board = new BrokerBoard(() => new Backoff(deps.random, restPause))
    this.#hints = new PopHints({
      ...deps,
      answered: (broker, isReady) => {
        this.#board.hinted(broker, isReady)
        this.#progress.made()
      },
      failed: (broker, error, opened) => {
        this.#brokerFailed(broker, error, opened)
        this.#progress.made()
      },
    })
    this.#unlisten = deps.routes.listen({
      routesChanged: () => this.#route(),
      topicGone: (name) => this.#topicGone(name),
    })
  }

  /** @returns `[]` when nothing came in time @throws MqError as `PopConsumer.receive` */
  async receive(call: PopCall): Promise<readonly LeasedMessage[]> {
    const { clock } = this.#deps
    const turn = new PopTurn(call, clock.monotonic())
    try {
      for (;;) {
        this.#check(call.signal)
        if (turn.messages !== undefined) return turn.messages
        const opened = await this.#open(turn, call)
        if (turn.messages !== undefined) continue
        const now = clock.monotonic()
        const broker = turn.next(this.#board, now)
        if (broker !== undefined) this.#start(broker, { turn, call, opened })
        else if (turn.isOver(now)) return turn.outcome(this.#board)
        else {
          if (turn.mayWait(now)) {
            for (const empty of this.#board.takeHints()) this.#hints.leave(empty, opened)
          }
          await this.#progress.wait(turn.wakesAt(now, this.#board.wakesAt) - now, call.signal)
        }
      }
    } finally {
      turn.end()
    }
  }

  get #isStopped(): boolean {
    return this.#closing.signal.aborted
  }

  /** Waits fail with `closed`; what is still under way is released as it comes. */
  async stop(): Promise<void> {
    this.#closing.abort()
    this.#unlisten()
    this.#hints.clear()
    this.#progress.made()
    const over = new AbortController()
    await Promise.race([Promise.all(this.#brief), sleep(this.#deps.clock, lastPopMs, over.signal)])
    over.abort()
  }

  release(messages: readonly LeasedMessage[]): void {
    this.#settle('release', messages)
  }

  /** Brokers look at hashes of tags only: a message with another tag of the same hash is done with unseen. */
  #wanted(messages: readonly LeasedMessage[]): readonly LeasedMessage[] {
    const { tags } = this.#config
    if (tags === undefined) return messages
    const isWanted = ({ tag }: LeasedMessage): boolean => tag !== undefined && tags.includes(tag)
    const wanted = messages.filter(isWanted)
    if (wanted.length < messages.length) {
      this.#settle(
        'ack',
        messages.filter((each) => !isWanted(each)),
      )
    }
    return wanted
  }

  /** What cannot be settled comes again when its lease is over. */
  #settle(verb: 'ack' | 'release', messages: readonly LeasedMessage[]): void {
    void this.#deps.settler.settle({
      verb,
      handles: messages,
      withinMs: this.#config.settleWithinMs,
    })
  }

  /** @throws MqError */
  #check(signal: AbortSignal | undefined): void {
    if (this.#isStopped) throw closed()
    if (signal?.aborted === true) throw aborted(signal)
    const damage = this.#damage
    this.#damage = undefined
    if (damage !== undefined) throw damage
  }

  async #open(turn: PopTurn, { signal }: PopCall): Promise<OpenedGroup> {
    const { group, clock } = this.#deps
    if (turn.fatal !== undefined) throw turn.fatal
    if (group.opened !== undefined) {
      if (this.#board.size === 0) this.#route()
      return group.opened
    }
    const opening = group.open(Math.max(turn.endsAt, clock.monotonic() + openMs), signal)
    const opened = await abortable(opening, this.#closing.signal).catch((error: unknown) => {
      throw this.#isStopped ? closed() : error
    })
    this.#check(signal)
    if (opened !== this.#routedFor) {
      // Hints that were left for another group, or for other topics, say nothing of this one.
      this.#hints.clear()
      this.#board.route(new Map())
      this.#routedFor = opened
    }
    this.#route()
    return opened
  }

  #start(broker: PoppedBroker, asked: { turn: PopTurn; call: PopCall; opened: OpenedGroup }): void {
    const { turn } = asked
    const now = this.#deps.clock.monotonic()
    const waitMs = this.#board.isAlone ? turn.holdMs(now, limits.waitMs) : 0
    turn.asked(broker, now)
    const asking = this.#ask(broker, { ...asked, waitMs }).finally(() => {
      this.#brief.delete(asking)
      this.#progress.made()
    })
    if (waitMs === 0) this.#brief.add(asking)
  }

  async #ask(
    broker: PoppedBroker,
    asked: { turn: PopTurn; call: PopCall; opened: OpenedGroup; waitMs: number },
  ): Promise<void> {
    const { clock, pool, requestTimeoutMs, consumer, crc32 } = this.#deps
    const { turn, call, opened, waitMs } = asked
    const { max, maxBytes, invisibleMs } = call
    const { groupId, names } = opened
    const { topics } = broker
    const hiding = invisibleMs === undefined ? {} : { invisibleMs }
    try {
      const caller = await pool.caller(broker.address)
      const startedMs = clock.monotonic()
      const only = this.#deps.retriesOnly === true ? { retriesOnly: true } : {}
      const fields = { groupId, topics, max, maxBytes, waitMs, consumer, ...hiding, ...only }
      // Never given up: what it grants must be heard of, to be released at least.
      const { reply, bytes } = await caller.call(pop, fields, {
        timeoutMs: waitMs + requestTimeoutMs,
      })
      const now = clock.monotonic()
      const { runs, reason } = reply
      const deps = { crc32, nameOf: (topicId: number) => names.get(topicId) }
      const { messages, error } = readPopped({ runs, bytes }, deps)
      this.lastReason = reason
      this.#damage ??= error
      const isEarly = now - startedMs < waitMs * wholeWait
      this.#board.popped(broker, { count: runs.length, isEarly }, now)
      const wanted = this.#wanted(messages)
      if (!turn.answered(broker, wanted)) this.release(wanted)
    } catch (thrown) {
      const error = asMqError(thrown)
      turn.failed(broker, error)
      this.#brokerFailed(broker, error, opened)
    }
  }

  #brokerFailed(broker: PoppedBroker, error: MqError, opened: OpenedGroup): void {
    const { clock, group, routes } = this.#deps
    this.#board.failed(broker, clock.monotonic())
    if (error.retriable === 'no') group.forget(opened)
    if (!isMqError(error, 'broker_busy', 'disk_full')) routes.wish()
  }

  /** Asks the routes who leads partitions of the topics. */
  #route(): void {
    const { table } = this.#deps.routes
    const { group, routes } = this.#deps
    const { opened } = group
    const found = new Map<string, Set<TopicId>>()
    for (const name of this.#config.topics) {
      const topic = table.topic(name)
      // Of another incarnation than the group has opened: one of both is out of date.
      if (topic === undefined || opened?.names.has(topic.id) !== true) continue
      for (const partition of topic.sets.keys()) {
        const leader = table.leader(topic, partition)
        if (leader === undefined) continue
        const ofLeader = found.get(leader.address) ?? new Set()
        found.set(leader.address, ofLeader.add(topic.id))
      }
    }
    if (found.size === 0 && opened !== undefined) routes.wish()
    const leaders = new Map(
      [...found].map(([address, topics]) => [address, [...topics].toSorted((a, b) => a - b)]),
    )
    for (const changed of this.#board.route(leaders)) this.#hints.takeBack(changed)
    this.#progress.made()
  }

  #topicGone(name: string): void {
    const { opened } = this.#deps.group
    if (opened !== undefined && this.#config.topics.includes(name)) this.#deps.group.forget(opened)
    this.#progress.made()
  }
}
