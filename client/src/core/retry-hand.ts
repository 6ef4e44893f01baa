import type { SettleResult } from '@popmq/protocol'
import type { LeasedMessage } from './leased-message.ts'

export interface RetryHandOptions {
  /** How long a lease is, in ms, each time that it is extended. */
  readonly leaseMs: number
  /** Most messages that are here at once. */
  readonly mostMessages: number
}

interface Entry {
  state: 'waiting' | 'in_hand' | 'settling'
  /** When its lease is to be extended, on the monotonic clock. */
  extendsAt: number
}

/**
 * The retried messages that a member has under leases. One of them:
 *   waiting    popped, and not delivered
 *   in_hand    delivered, and not decided
 *   settling   it is being acked or given back: its lease is left alone
 * waiting → in_hand by `take`, in_hand → settling by `settle`, never back. From each it goes when it is settled, when its
 * lease was lost, and when all is given up.
 *
 * Invariant: a lease is extended when half of it is over, as long as its message waits or is in hand.
 */
export class RetryHand {
  readonly #options: RetryHandOptions
  readonly #entries = new Map<LeasedMessage, Entry>()

  constructor(options: RetryHandOptions) {
    this.#options = options
  }

  get hasWaiting(): boolean {
    return this.#some('waiting')
  }

  get hasInHand(): boolean {
    return this.#some('in_hand')
  }

  /** How many more may be popped. */
  get room(): number {
    return Math.max(0, this.#options.mostMessages - this.#entries.size)
  }

  /** These were asked for at `askedAt`: their leases began no earlier. */
  popped(messages: readonly LeasedMessage[], askedAt: number): void {
    const extendsAt = askedAt + this.#options.leaseMs / 2
    for (const message of messages) this.#entries.set(message, { state: 'waiting', extendsAt })
  }

  /** Those that are delivered now, in the order of their arrival. */
  take(most: number): LeasedMessage[] {
    const taken: LeasedMessage[] = []
    for (const [message, entry] of this.#entries) {
      if (taken.length >= most) break
      if (entry.state !== 'waiting') continue
      entry.state = 'in_hand'
      taken.push(message)
    }
    return taken
  }

  /** Those of `messages` that are in hand, or all: something is decided about them. */
  settle(messages: Iterable<LeasedMessage> = this.#entries.keys()): LeasedMessage[] {
    const settling: LeasedMessage[] = []
    for (const message of messages) {
      const entry = this.#entries.get(message)
      if (entry?.state !== 'in_hand') continue
      entry.state = 'settling'
      settling.push(message)
    }
    return settling
  }

  /** These are settled, or will not be: they are nobody's here any more. */
  gone(messages: readonly LeasedMessage[]): void {
    for (const message of messages) this.#entries.delete(message)
  }

  /** When the next lease is to be extended, on the monotonic clock. */
  get extendsAt(): number {
    let first = Number.POSITIVE_INFINITY
    for (const { state, extendsAt } of this.#entries.values()) {
      if (state !== 'settling') first = Math.min(first, extendsAt)
    }
    return first
  }

  /** Those whose leases are to be extended now; until `extended` they are not asked for again before half a lease. */
  due(now: number): LeasedMessage[] {
    const due: LeasedMessage[] = []
    for (const [message, entry] of this.#entries) {
      if (entry.state === 'settling' || entry.extendsAt > now) continue
      entry.extendsAt = now + this.#options.leaseMs / 2
      due.push(message)
    }
    return due
  }

  /** An extension was answered. One that is not leased to this member any more is not delivered, and not acked. */
  extended(message: LeasedMessage, result: SettleResult | 'failed'): void {
    if (result !== 'extended' && result !== 'failed') this.#entries.delete(message)
  }

  /** Gives up what was not delivered. @returns these: somebody else may have them */
  giveBack(): LeasedMessage[] {
    const waiting = [...this.#entries].filter(([, { state }]) => state === 'waiting')
    for (const [message] of waiting) this.#entries.delete(message)
    return waiting.map(([message]) => message)
  }

  /** Gives up the others too: what is in hand is left to its lease. */
  drop(): void {
    this.#entries.clear()
  }

  #some(state: Entry['state']): boolean {
    for (const entry of this.#entries.values()) if (entry.state === state) return true
    return false
  }
}
