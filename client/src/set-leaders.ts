import { Backoff, type Clock, type Random, sleep } from '@popmq/kit'
import { asMqError, metadata, MqError, type ReplyOf, type SetInfo } from '@popmq/protocol'
import type { TopicInfo } from '@popmq/protocol'
import type { CallOptions as CallerOptions, Caller } from '@popmq/transport'
import { throwIfAborted } from './aborting.ts'
import type { ConnectionPool } from './connection-pool.ts'
import type { Coordinators } from './coordinators.ts'
import { concernsRoute } from './core/attempt-verdict.ts'

export interface SetLeadersDeps {
  readonly coordinators: Coordinators
  readonly pool: ConnectionPool
  readonly clock: Clock
  readonly random: Random
  /** How long one request to a broker may go unanswered, in ms. */
  readonly requestTimeoutMs: number
}

export interface SetCall {
  /** Whether carrying it out twice does no harm and changes no answer: then it is tried again although it may have been. */
  readonly isRepeatable: boolean
  readonly signal: AbortSignal | undefined
}

/** Asks the broker that leads. */
type Ask<T> = (caller: Caller, how: AskOptions) => Promise<T>
type AskOptions = Pick<CallerOptions, 'timeoutMs' | 'signal'>

/** The topics and sets of the cluster at one moment. */
export interface ClusterMap {
  readonly topics: readonly TopicInfo[]
  /** By id. */
  readonly sets: readonly number[]
  /** @returns `#<id>` for a topic that is gone */
  readonly nameOf: (topicId: number) => string
}

/** How long a call is tried. */
const tryMs = 30_000
const retryPause = { firstMs: 50, mostMs: 1_000 }

/** Asks the brokers that lead replica sets. Keeps nothing: each call goes by the routes of now. */
export class SetLeaders {
  readonly #deps: SetLeadersDeps

  constructor(deps: SetLeadersDeps) {
    this.#deps = deps
  }

  /** Sets that nobody leads and that hold no partition are left out: their brokers are gone. */
  async map(signal: AbortSignal | undefined): Promise<ClusterMap> {
    const { topics, sets } = await this.#metadata({}, signal)
    const used = new Set(topics.flatMap((topic) => topic.sets))
    const names = new Map<number, string>(topics.map(({ id, name }) => [id, name]))
    return {
      topics,
      sets: sets.filter((set) => isLed(set) || used.has(set.id)).map(({ id }) => id),
      nameOf: (id) => names.get(id) ?? `#${id}`,
    }
  }

  /**
   * Asks the broker that leads `set`, and again when another seems to, for at most 30 s.
   * @throws MqError `message_not_found` for a set that does not exist; what the broker answered
   */
  async ask<T>(set: number, { isRepeatable, signal }: SetCall, ask: Ask<T>): Promise<T> {
    const { clock, random, pool, requestTimeoutMs: timeoutMs } = this.#deps
    const endsAt = clock.monotonic() + tryMs
    const backoff = new Backoff(random, retryPause)
    for (;;) {
      throwIfAborted(signal)
      const { sets } = await this.#metadata({ topics: [] }, signal)
      try {
        const caller = await pool.caller(addressOf(set, sets))
        return await ask(caller, signal === undefined ? { timeoutMs } : { timeoutMs, signal })
      } catch (thrown) {
        const error = asMqError(thrown)
        const mayAgain = concernsRoute(error) && (isRepeatable || error.retriable === 'yes')
        const pauseMs = backoff.nextMs()
        if (!mayAgain || clock.monotonic() + pauseMs >= endsAt) throw error
        await sleep(clock, pauseMs, signal)
      }
    }
  }

  #metadata(
    request: { topics?: string[] },
    signal: AbortSignal | undefined,
  ): Promise<ReplyOf<typeof metadata>> {
    const how = { withinMs: tryMs, isRepeatable: true, ...(signal === undefined ? {} : { signal }) }
    return this.#deps.coordinators.call(metadata, request, how)
  }
}

function isLed({ leader, address }: SetInfo): boolean {
  return leader !== 0 && address !== ''
}

/** @throws MqError `unreachable` while none leads, `message_not_found` for a set that does not exist */
function addressOf(id: number, sets: readonly SetInfo[]): string {
  const set = sets.find((each) => each.id === id)
  if (set === undefined)
    throw new MqError('message_not_found', `there is no replica set ${id}, so nothing waits in it`)
  if (!isLed(set)) throw new MqError('unreachable', `no broker leads replica set ${id}`)
  return set.address
}
