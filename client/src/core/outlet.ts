import type { AckLevel } from '@popmq/protocol'
import type { Lane } from './lane.ts'

export interface OutletOptions {
  readonly lingerMs: number
  readonly batchBytes: number
  readonly requestsInFlight: number
}

/**
 * Requests under way to one broker below which a request need not be full. The broker syncs what came together: the
 * first request is being synced, the second gathers behind it; a third small one would only split the second.
 */
const smallRequestsInFlight = 2

/** The lanes that are ready to send to one broker at one ack level, in the order in which they became ready. */
export class Outlet {
  readonly address: string
  readonly acks: AckLevel
  readonly #options: OutletOptions
  readonly #weights = new Map<Lane, number>()
  #weight = 0
  #readySince = 0
  /** Requests that were given and not answered. */
  inFlight = 0

  constructor(to: { address: string; acks: AckLevel }, options: OutletOptions) {
    this.address = to.address
    this.acks = to.acks
    this.#options = options
  }

  get lanes(): IterableIterator<Lane> {
    return this.#weights.keys()
  }

  /** `weight` is the bytes that the lane has to send; a run that is full weighs as much as a full request. */
  add(lane: Lane, weight: number, now: number): void {
    if (this.#weights.size === 0) this.#readySince = now
    this.#weights.set(lane, weight)
    this.#weight += weight
  }

  remove(lane: Lane): void {
    this.#weight -= this.#weights.get(lane) ?? 0
    this.#weights.delete(lane)
  }

  /** Those left behind by a request wait anew. */
  restartWait(now: number): void {
    this.#readySince = now
  }

  /** Whether there is a full request that may be sent. */
  get isFull(): boolean {
    return this.#isFree && this.#weight >= this.#options.batchBytes
  }

  maySend(now: number, isFlushing: boolean): boolean {
    if (!this.#isFree) return false
    if (isFlushing || this.isFull) return true
    return this.inFlight < smallRequestsInFlight && now >= this.#lingersUntil
  }

  /** When `maySend` will hold by time alone. @returns undefined when it will not */
  get wakesAt(): number | undefined {
    const waitsForTime = this.#weights.size > 0 && this.inFlight < smallRequestsInFlight
    return waitsForTime ? this.#lingersUntil : undefined
  }

  get #isFree(): boolean {
    return this.#weights.size > 0 && this.inFlight < this.#options.requestsInFlight
  }

  get #lingersUntil(): number {
    return this.#readySince + this.#options.lingerMs
  }
}
