import { Backoff, type Clock, type Random, sleep } from '@popmq/kit'
import {
  asMqError,
  isMqError,
  MqError,
  type ReplyOf,
  type RequestOf,
  settle,
} from '@popmq/protocol'
import type { SettleVerb, TopicInfo } from '@popmq/protocol'
import { abortable } from './aborting.ts'
import type { Settled } from './api/pop-consumer.ts'
import type { ConnectionPool } from './connection-pool.ts'
import type { NamedHandle } from './core/leased-message.ts'
import { type SettleRequest, settleRequests } from './core/settle-request.ts'
import { type LeaseHandles, maySettleLater, Settlement } from './core/settlement.ts'
import type { GroupSource, OpenedGroup } from './pop-group.ts'
import type { RouteCache } from './route-cache.ts'
import type { SharedAcks } from './shared-acks.ts'
import { within } from './within.ts'

export interface SettlerDeps {
  readonly clock: Clock
  readonly random: Random
  readonly pool: ConnectionPool
  readonly acks: SharedAcks
  readonly routes: RouteCache
  readonly group: GroupSource
  /** How long one request may go unanswered, in ms. */
  readonly requestTimeoutMs: number
}

export interface SettleCall {
  readonly verb: SettleVerb
  readonly handles: readonly NamedHandle[]
  /** How long it is tried, in ms. */
  readonly withinMs: number
  readonly details?: Pick<
    RequestOf<typeof settle>,
    'error' | 'delayMs' | 'retriable' | 'invisibleMs'
  >
  /** When the first of the leases may be over, on the monotonic clock. @defaultValue not known: never */
  readonly leasesEndAt?: number | undefined
  readonly signal?: AbortSignal | undefined
}

interface Trying {
  readonly call: SettleCall
  readonly settlement: Settlement
  readonly endsAt: number
  readonly backoff: Backoff
  /** The group was opened again for this call. */
  isReopened: boolean
}

const pause = { firstMs: 20, mostMs: 1_000 }
/** A try may take this part of the time, so that a broker that does not answer is not the end. */
const triesPerCall = 3
const shortestTryMs = 1_000

/** Settles handles with the brokers that lead their partitions; tries again, since settling twice is harmless. */
export class Settler {
  readonly #deps: SettlerDeps
  readonly #underWay = new Set<Promise<unknown>>()

  constructor(deps: SettlerDeps) {
    this.#deps = deps
  }

  /** @returns one result per handle, in order @throws MqError `aborted` */
  settle(call: SettleCall): Promise<Settled[]> {
    const settling = this.#settleAll(call)
    const done = settling.finally(() => this.#underWay.delete(done))
    this.#underWay.add(done)
    return abortable(done, call.signal)
  }

  /** Resolves once all that is under way is settled or failed. */
  async idle(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.all(this.#underWay)
  }

  async #settleAll(call: SettleCall): Promise<Settled[]> {
    const { clock, random } = this.#deps
    const settlement = new Settlement(call.verb, call.handles)
    const endsAt = clock.monotonic() + call.withinMs
    const backoff = new Backoff(random, pause)
    const trying: Trying = { call, settlement, endsAt, backoff, isReopened: false }
    await this.#try(settlement.leases, trying)
    return settlement.results
  }

  /** Settles these with their leaders, each at its own pace. */
  async #try(leases: readonly LeaseHandles[], trying: Trying): Promise<void> {
    if (leases.length === 0) return
    let opened: OpenedGroup
    let topics: Map<number, TopicInfo>
    try {
      opened = await this.#deps.group.open(trying.endsAt, undefined)
      const finding = this.#deps.routes.findIds(new Set(leases.map(({ topicId }) => topicId)))
      const what = 'no coordinator told who leads the partitions'
      topics = await within(finding, { clock: this.#deps.clock, endsAt: trying.endsAt, what })
    } catch (error) {
      trying.settlement.failed(leases, asMqError(error))
      return
    }
    const known = leases.filter(({ topicId }) => topics.has(topicId))
    trying.settlement.unknown(leases.filter(({ topicId }) => !topics.has(topicId)))
    const requests = [...this.#byLeader(known, topics)].flatMap(([address, ofLeader]) =>
      [...settleRequests(ofLeader)].map((request) => ({ address, request })),
    )
    await Promise.all(
      requests.map(({ address, request }) => this.#settleAt(request, { address, opened, trying })),
    )
  }

  #byLeader(
    leases: readonly LeaseHandles[],
    topics: ReadonlyMap<number, TopicInfo>,
  ): Map<string, LeaseHandles[]> {
    const found = new Map<string, LeaseHandles[]>()
    for (const lease of leases) {
      const topic = topics.get(lease.topicId)
      const leader =
        topic === undefined ? undefined : this.#deps.routes.table.leader(topic, lease.partition)
      const address = leader?.address ?? ''
      const ofLeader = found.get(address)
      if (ofLeader === undefined) found.set(address, [lease])
      else ofLeader.push(lease)
    }
    return found
  }

  async #settleAt(
    request: SettleRequest,
    at: { address: string; opened: OpenedGroup; trying: Trying },
  ): Promise<void> {
    const { trying } = at
    const { leases } = request
    try {
      const reply = await this.#ask(request, at)
      const { leasesEndAt = Number.POSITIVE_INFINITY } = trying.call
      const isInTime = this.#deps.clock.monotonic() < leasesEndAt
      trying.settlement.answered(leases, { ...reply, isInTime })
    } catch (error) {
      await this.#failed(leases, asMqError(error), at)
    }
  }

  async #ask(
    request: SettleRequest,
    { address, opened, trying }: { address: string; opened: OpenedGroup; trying: Trying },
  ): Promise<ReplyOf<typeof settle>> {
    const { pool, acks } = this.#deps
    const { verb, details = {} } = trying.call
    const { groupId } = opened
    const timeoutMs = this.#tryMs(trying)
    if (address === '') throw new MqError('not_leader', 'no broker leads the partition for now')
    // One whose time is almost over asks for itself: others have more.
    if (verb === 'ack' && timeoutMs >= Math.min(shortestTryMs, this.#deps.requestTimeoutMs))
      return acks.ack({ address, groupId }, request.leases, timeoutMs)
    const caller = await pool.caller(address)
    const asked = { groupId, verb, leases: request.fields, ...details }
    const { reply } = await caller.call(settle, asked, { timeoutMs })
    return reply
  }

  async #failed(
    leases: readonly LeaseHandles[],
    error: MqError,
    { opened, trying }: { opened: OpenedGroup; trying: Trying },
  ): Promise<void> {
    const { clock, group, routes } = this.#deps
    trying.settlement.tried(leases, error)
    const isGone = isMqError(error, 'group_not_found')
    const mayReopen = isGone && !trying.isReopened
    if (isGone) {
      group.forget(opened)
      trying.isReopened = true
    }
    const waitMs = Math.max(trying.backoff.nextMs(), error.retryAfterMs ?? 0)
    const isLater = mayReopen || maySettleLater(error)
    if (!isLater || clock.monotonic() + waitMs >= trying.endsAt) {
      trying.settlement.failed(leases, error)
      return
    }
    routes.wish()
    await sleep(clock, waitMs)
    await this.#try(leases, trying)
  }

  #tryMs({ endsAt, call }: Trying): number {
    const leftMs = endsAt - this.#deps.clock.monotonic()
    const shareMs = Math.max(shortestTryMs, call.withinMs / triesPerCall)
    return Math.max(1, Math.min(this.#deps.requestTimeoutMs, shareMs, leftMs))
  }
}
