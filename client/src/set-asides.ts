import { Backoff, type Clock, type Random, sleep } from '@popmq/kit'
import { asMqError, type Failure, MqError, offset, quoted, setAside } from '@popmq/protocol'
import type { GroupId, Offset, RequestOf } from '@popmq/protocol'
import type { RetryResult } from './api/group-consumer.ts'
import type { Message, TopicPartition } from './api/message.ts'
import type { ConnectionPool } from './connection-pool.ts'
import { concernsRoute } from './core/attempt-verdict.ts'
import type { HeldPartition } from './core/held-partition.ts'
import type { RouteCache } from './route-cache.ts'
import { byKey, inParts } from './set-pages.ts'

export interface SetAsidesDeps {
  readonly clock: Clock
  readonly random: Random
  readonly pool: ConnectionPool
  readonly routes: RouteCache
  readonly requestTimeoutMs: number
  /** Who this is, for people. */
  readonly identity: string
  /** The partition as it is held now. */
  readonly find: (at: TopicPartition) => HeldPartition | undefined
  readonly groupId: () => GroupId | undefined
  /** A broker has seen a later grant of it. */
  readonly fenced: (held: HeldPartition) => void
  readonly signal: AbortSignal
}

/** How messages are to be retried, as it is told to brokers. */
export interface RetryDetails {
  readonly error?: Failure
  readonly delayMs?: number
  readonly retriable?: boolean
}

type SetAside = RequestOf<typeof setAside>

const tryMs = 30_000
const pause = { firstMs: 50, mostMs: 1_000 }
const mostPerRequest = 1_000

/** Sets messages of partitions that are held aside, with the leader of each, until it is answered. */
export class SetAsides {
  readonly #deps: SetAsidesDeps

  constructor(deps: SetAsidesDeps) {
    this.#deps = deps
  }

  /** @returns a result per message @throws MqError `grant_fenced`, and what did not mend within 30 s */
  async set(
    messages: readonly Message[],
    details: RetryDetails,
  ): Promise<Map<Message, RetryResult>> {
    const results = new Map<Message, RetryResult>()
    const places = byKey(messages, ({ topic, partition }) => `${topic}/${partition}`)
    const asking = [...places.values()].flatMap((ofPlace) =>
      inParts(ofPlace, mostPerRequest).map(async (part) => {
        const offsets = part.map((message) => offset(message.offset))
        const told = await this.#ask(part[0], { offsets, details })
        part.forEach((message, index) => results.set(message, told[index] ?? 'unknown'))
      }),
    )
    await Promise.all(asking)
    return results
  }

  async #ask(
    at: TopicPartition | undefined,
    { offsets, details }: { offsets: Offset[]; details: RetryDetails },
  ): Promise<RetryResult[]> {
    if (at === undefined) return []
    const { clock, random, signal, routes } = this.#deps
    const endsAt = clock.monotonic() + tryMs
    const backoff = new Backoff(random, pause)
    for (;;) {
      // Each time as it is held now: after a wait it may be another's.
      const held = this.#held(at)
      try {
        return await this.#askLeader(at.topic, held, { offsets, ...details })
      } catch (thrown) {
        const error = asMqError(thrown)
        if (error.name === 'grant_fenced') this.#deps.fenced(held)
        const waitMs = Math.max(backoff.nextMs(), error.retryAfterMs ?? 0)
        const isLater = error.retriable !== 'no' || concernsRoute(error)
        if (!isLater || signal.aborted || clock.monotonic() + waitMs >= endsAt) throw error
        if (concernsRoute(error)) routes.wish()
        await sleep(clock, waitMs, signal)
      }
    }
  }

  /** @throws MqError `grant_fenced` */
  #held(at: TopicPartition): HeldPartition {
    const held = this.#deps.find(at)
    if (held !== undefined && held.state !== 'released' && !held.isFenced) return held
    const what = `partition ${at.partition} of topic ${quoted(at.topic)} is not held by this member`
    throw new MqError('grant_fenced', what)
  }

  async #askLeader(
    name: string,
    { topicId, partition, epoch }: HeldPartition,
    asked: Pick<SetAside, 'offsets' | 'error' | 'delayMs' | 'retriable'>,
  ): Promise<RetryResult[]> {
    const { pool, routes, identity: consumer, requestTimeoutMs: timeoutMs } = this.#deps
    const topic = routes.table.topic(name)
    const leader = topic === undefined ? undefined : routes.table.leader(topic, partition)
    const groupId = this.#deps.groupId()
    if (leader === undefined || groupId === undefined)
      throw new MqError('unreachable', `no broker leads partition ${partition} of ${quoted(name)}`)
    const caller = await pool.caller(leader.address)
    const request = { groupId, topicId, partition, epoch, consumer, ...asked }
    const { reply } = await caller.call(setAside, request, { timeoutMs })
    return reply.results.map(retryResult)
  }
}

/** What a settled message is told as: that which no retry can be is as good as not there. */
export function retryResult(result: string): RetryResult {
  return results.has(result) ? (result as RetryResult) : 'unknown'
}

const results: ReadonlySet<string> = new Set<RetryResult>([
  'retrying',
  'dead',
  'already',
  'expired',
  'unknown',
])
