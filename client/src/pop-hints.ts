import type { Clock } from '@popmq/kit'
import { asMqError, limits, type MqError, popHint } from '@popmq/protocol'
import type { ConnectionPool } from './connection-pool.ts'
import type { PoppedBroker } from './core/broker-board.ts'
import type { OpenedGroup } from './pop-group.ts'

export interface PopHintsDeps {
  readonly clock: Clock
  readonly pool: ConnectionPool
  readonly requestTimeoutMs: number
  /** Only messages that are retried. */
  readonly retriesOnly?: boolean
  readonly answered: (broker: PoppedBroker, isReady: boolean) => void
  readonly failed: (broker: PoppedBroker, error: MqError, opened: OpenedGroup) => void
}

/** An answer without anything that comes sooner than this part of the wait was no wait. */
const wholeWait = 0.9

/** Hints left with brokers: each is held there until there is something to pop, and grants nothing. */
export class PopHints {
  readonly #deps: PopHintsDeps
  readonly #left = new Map<PoppedBroker, AbortController>()

  constructor(deps: PopHintsDeps) {
    this.#deps = deps
  }

  leave(broker: PoppedBroker, opened: OpenedGroup): void {
    const giveUp = new AbortController()
    this.#left.set(broker, giveUp)
    void this.#ask(broker, opened, giveUp)
  }

  /** Nobody is to hear of it any more. */
  takeBack(broker: PoppedBroker): void {
    const giveUp = this.#left.get(broker)
    this.#left.delete(broker)
    giveUp?.abort()
  }

  clear(): void {
    for (const broker of [...this.#left.keys()]) this.takeBack(broker)
  }

  async #ask(broker: PoppedBroker, opened: OpenedGroup, giveUp: AbortController): Promise<void> {
    const { clock, pool, requestTimeoutMs, answered, failed } = this.#deps
    const startedMs = clock.monotonic()
    const waitMs = limits.waitMs
    const isLeft = (): boolean => this.#left.get(broker) === giveUp
    try {
      const caller = await pool.caller(broker.address)
      if (!isLeft()) return
      const only = this.#deps.retriesOnly === true ? { retriesOnly: true } : {}
      const fields = { groupId: opened.groupId, topics: broker.topics, waitMs, ...only }
      const how = { timeoutMs: waitMs + requestTimeoutMs, signal: giveUp.signal }
      const { reply } = await caller.call(popHint, fields, how)
      if (!isLeft()) return
      this.#left.delete(broker)
      const isEarly = clock.monotonic() - startedMs < waitMs * wholeWait
      answered(broker, reply.isReady || isEarly)
    } catch (error) {
      if (!isLeft()) return
      this.#left.delete(broker)
      failed(broker, asMqError(error), opened)
    }
  }
}
