import { type Deferred, deferred } from '@popmq/kit'
import { asMqError, type GroupId, type ReplyOf, settle } from '@popmq/protocol'
import type { ConnectionPool } from './connection-pool.ts'
import { SettleRequest } from './core/settle-request.ts'
import type { LeaseHandles } from './core/settlement.ts'

type Reply = ReplyOf<typeof settle>

/** Where acks go. */
export interface AckRoute {
  /** host:port of the leader of their partitions. */
  readonly address: string
  readonly groupId: GroupId
}

/** One call among those that share a request. */
interface Asked {
  /** Where its leases begin among those of the request. */
  readonly from: number
  readonly reply: Deferred<Reply>
}

interface Gathered {
  readonly route: AckRoute
  readonly request: SettleRequest
  readonly asked: Asked[]
  timeoutMs: number
}

/**
 * Acks that are said in one turn of the event loop, whoever says them: those of one group for one broker share a request
 * there and a record in its log. Nothing waits for more to come.
 */
export class SharedAcks {
  readonly #pool: Pick<ConnectionPool, 'caller'>
  /** What is said in this turn, the newest request of each route. */
  readonly #gathered = new Map<string, Gathered>()

  constructor(pool: Pick<ConnectionPool, 'caller'>) {
    this.#pool = pool
  }

  /**
   * All that share the request have the longest of their times.
   * @returns a list of results for each lease @throws MqError as `settle`
   */
  ack(route: AckRoute, leases: readonly LeaseHandles[], timeoutMs: number): Promise<Reply> {
    const gathered = this.#gatheredFor(route, leases)
    const asked = { from: gathered.request.leases.length - leases.length, reply: deferred<Reply>() }
    gathered.asked.push(asked)
    gathered.timeoutMs = Math.max(gathered.timeoutMs, timeoutMs)
    return asked.reply.promise
  }

  /** Where these were added. */
  #gatheredFor(route: AckRoute, leases: readonly LeaseHandles[]): Gathered {
    const key = `${route.groupId} ${route.address}`
    const there = this.#gathered.get(key)
    if (there?.request.tryAdd(leases) === true) return there
    const gathered = { route, request: new SettleRequest(), asked: [], timeoutMs: 0 }
    gathered.request.tryAdd(leases)
    this.#gathered.set(key, gathered)
    // Behind all that follows from what came in with this turn.
    process.nextTick(() => {
      if (this.#gathered.get(key) === gathered) this.#gathered.delete(key)
      void this.#ask(gathered)
    })
    return gathered
  }

  async #ask({ route, request, asked, timeoutMs }: Gathered): Promise<void> {
    try {
      const fields = { groupId: route.groupId, verb: 'ack', leases: request.fields } as const
      const caller = await this.#pool.caller(route.address)
      const { reply } = await caller.call(settle, fields, { timeoutMs })
      for (const [index, { from, reply: told }] of asked.entries())
        told.resolve({ results: reply.results.slice(from, asked[index + 1]?.from) })
    } catch (thrown) {
      const error = asMqError(thrown)
      for (const { reply } of asked) reply.reject(error)
    }
  }
}
