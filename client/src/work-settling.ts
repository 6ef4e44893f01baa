import { deferred } from '@popmq/kit'
import { limits, MqError } from '@popmq/protocol'
import type { PoppedMessage, Settled } from './api/pop-consumer.ts'
import { AckQueue } from './core/ack-queue.ts'
import type { Work } from './core/work-board.ts'
import { named } from './core/leased-message.ts'
import { toldThrown } from './core/told-failure.ts'
import type { RouteCache } from './route-cache.ts'
import type { SettleCall, Settler } from './settler.ts'

export interface WorkSettlingDeps {
  readonly settler: Settler
  readonly routes: RouteCache
  readonly settleWithinMs: number
  /** Told of each message that was not settled as it should be. */
  readonly told: (error: MqError, message: PoppedMessage) => void
}

interface Acked {
  readonly message: PoppedMessage
  readonly leaseEndsAt: number
  readonly done: () => void
}

/** Tells brokers what became of messages, acks in batches, and counts what they answered. None of its promises rejects. */
export class WorkSettling {
  readonly counts = { acked: 0, retrying: 0, dead: 0, released: 0, lost: 0, unsettled: 0 }
  readonly #deps: WorkSettlingDeps
  readonly #acks = new AckQueue<Acked>()

  constructor(deps: WorkSettlingDeps) {
    this.#deps = deps
  }

  ack({ message, leaseEndsAt }: Work): Promise<void> {
    const { table } = this.#deps.routes
    const topic = table.topic(message.topic)
    const address =
      topic === undefined ? '' : (table.leader(topic, message.partition)?.address ?? '')
    const { promise, resolve } = deferred()
    this.#acks.add(address, { message, leaseEndsAt, done: resolve })
    // In a turn of its own: what is done in this one is acked together.
    queueMicrotask(() => void this.#flush(address))
    return promise
  }

  async nack(message: PoppedMessage, thrown: unknown): Promise<void> {
    const details = { error: toldThrown(thrown), ...wishesOf(thrown) }
    const [settled] = await this.#settle({ verb: 'nack', handles: [named(message)], details })
    this.#count(settled, message)
  }

  /** Gives messages back. */
  async release(messages: readonly PoppedMessage[]): Promise<void> {
    if (messages.length === 0) return
    const handles = messages.map(named)
    const results = await this.#settle({ verb: 'release', handles })
    for (const [index, message] of messages.entries()) this.#count(results[index], message)
  }

  extend(
    messages: readonly PoppedMessage[],
    { invisibleMs, withinMs }: { invisibleMs: number; withinMs: number },
  ): Promise<Settled[]> {
    const handles = messages.map(named)
    const details = { invisibleMs }
    return this.#deps.settler.settle({ verb: 'extend', handles, details, withinMs })
  }

  /** Its lease was over before its handler was done. */
  lost(message: PoppedMessage, why: string): void {
    this.counts.lost += 1
    const { topic, partition, offset, id } = message
    const what = `message ${id} was lost before it was settled: ${why}`
    const error = new MqError('lease_lost', what, { facts: { topic, partition, offset } })
    this.#deps.told(error, message)
  }

  async #flush(address: string): Promise<void> {
    const taken = this.#acks.take(address)
    if (taken.length === 0) return
    const handles = taken.map(({ message }) => named(message))
    const leasesEndAt = taken.reduce((at, each) => Math.min(at, each.leaseEndsAt), Infinity)
    const results = await this.#settle({ verb: 'ack', handles, leasesEndAt })
    this.#acks.done(address)
    for (const [index, { message, done }] of taken.entries()) {
      this.#count(results[index], message)
      done()
    }
    await this.#flush(address)
  }

  #settle(call: Omit<SettleCall, 'withinMs'>): Promise<Settled[]> {
    return this.#deps.settler.settle({ ...call, withinMs: this.#deps.settleWithinMs })
  }

  #count(settled: Settled | undefined, message: PoppedMessage): void {
    const { result = 'unknown', error } = settled ?? {}
    switch (result) {
      case 'acked':
      case 'retrying':
      case 'dead':
      case 'released':
        this.counts[result] += 1
        return
      case 'failed':
        this.counts.unsettled += 1
        this.#deps.told(error ?? new MqError('timed_out', 'it was not settled'), message)
        return
      case 'already':
      case 'expired':
      case 'unknown':
      case 'foreign':
      case 'extended':
        this.lost(message, `the broker says ${result}`)
    }
  }
}

/** What an error says of trying again. */
function wishesOf(thrown: unknown): NonNullable<SettleCall['details']> {
  if (typeof thrown !== 'object' || thrown === null) return {}
  const { retriable, delayMs } = thrown as { retriable?: unknown; delayMs?: unknown }
  const isDelay =
    typeof delayMs === 'number' &&
    Number.isInteger(delayMs) &&
    delayMs >= 0 &&
    delayMs <= limits.delayMs
  return { ...(retriable === false ? { retriable } : {}), ...(isDelay ? { delayMs } : {}) }
}
