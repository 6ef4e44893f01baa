import { assert } from '@popmq/kit'
import type { Lease } from './lease.ts'

/** Messages are held, or no more: for the limits of a group and of a consumer. */
export type CountHeld = (consumer: string, by: number) => void

/** What became of a handle before anything was done about it. */
export type HandleVerdict = 'current' | 'settling' | 'settled' | 'expired'

export interface LeaseBookParts {
  /** The lease that committed records tell of. */
  readonly applied: (number: number) => Lease | undefined
  /** All that have one. */
  readonly open: () => Iterable<number>
  /** Whether a message without a lease was settled; else its lease was lost with a crash, and its handle is good. */
  readonly isSettled: (number: number) => boolean
  readonly count: CountHeld
}

/**
 * Who has which messages of one place (a partition, or the retries of a group), the leader's intents included:
 *
 *     nobody ──grant──▶ held ──grant again: extended──▶ held
 *     held ──expire, give back──▶ free ──grant──▶ held
 *     held | free | nobody ──settle──▶ settling ──its record is applied──▶ nobody, for good
 *     settling ──refused──▶ as it was before
 *
 * One settlement of a message is in flight at a time; all that comes later waits for it and is answered from it.
 */
export class LeaseBook {
  readonly #parts: LeaseBookParts
  /** Leases whose records are not applied yet. */
  readonly #granted = new Map<number, Lease>()
  readonly #settling = new Map<number, Promise<boolean>>()
  /** To be handed out again, those that became free first in front. */
  readonly free = new Set<number>()

  constructor(parts: LeaseBookParts) {
    this.#parts = parts
  }

  leaseOf(number: number): Lease | undefined {
    return this.#granted.get(number) ?? this.#parts.applied(number)
  }

  /** Whether a consumer has the message now. */
  isHeld(number: number): boolean {
    return this.#heldLease(number) !== undefined
  }

  /** Messages that consumers have now, with their leases. */
  *held(): Generator<readonly [number, Lease]> {
    const open = new Set([...this.#granted.keys(), ...this.#parts.open()])
    for (const number of open) {
      const lease = this.#heldLease(number)
      if (lease !== undefined) yield [number, lease]
    }
  }

  isSettling(number: number): boolean {
    return this.#settling.has(number)
  }

  /** The settlement in flight, if there is one: resolves with whether it was carried out. */
  settlement(number: number): Promise<boolean> | undefined {
    return this.#settling.get(number)
  }

  /** All that is in flight. */
  settlements(): Promise<boolean>[] {
    return [...this.#settling.values()]
  }

  /** Free messages that can be handed out. */
  *takeable(): Generator<number> {
    for (const number of this.free) if (!this.isSettling(number)) yield number
  }

  /** A lease from before this leader began: it is honoured. */
  honour(number: number): void {
    const lease = this.#parts.applied(number)
    if (lease !== undefined && lease.nonce !== 0) this.#parts.count(lease.consumer, 1)
    else this.free.add(number)
  }

  /** Hands out, extends, or with nonce 0 gives back. @returns to be called when the record of this is applied */
  grant(numbers: readonly number[], lease: Lease): () => void {
    this.#count(numbers, -1)
    for (const number of numbers) {
      this.#granted.set(number, lease)
      if (lease.nonce === 0) this.free.add(number)
      else this.free.delete(number)
    }
    if (lease.nonce !== 0) this.#parts.count(lease.consumer, numbers.length)
    return () => {
      for (const number of numbers)
        if (this.#granted.get(number) === lease) this.#drop(number, lease)
    }
  }

  /** Nobody has these any more, for they are gone. What is in hand is counted anew afterwards. */
  abandon(isGone: (number: number) => boolean): void {
    for (const [number] of [...this.held()]) {
      if (!isGone(number)) continue
      this.#granted.delete(number)
      this.free.add(number)
    }
  }

  /** The lease is over. */
  expire(number: number): void {
    assert(!this.isSettling(number), 'what is being settled does not expire')
    this.#count([number], -1)
    this.free.add(number)
  }

  /** What a handle with this nonce can do. */
  judge(number: number, nonce: number): HandleVerdict {
    if (this.isSettling(number)) return 'settling'
    const lease = this.leaseOf(number)
    if (lease === undefined) return this.#parts.isSettled(number) ? 'settled' : 'current'
    // Given back, and not handed out since: whoever had it before may still settle it.
    return lease.nonce === nonce || lease.nonce === 0 ? 'current' : 'expired'
  }

  /** Something that settles them is on its way. @returns what to call in the end */
  settle(numbers: readonly number[], done: Promise<boolean>): Settlement {
    for (const number of numbers)
      assert(!this.isSettling(number), 'one settlement of a message is in flight')
    this.#count(numbers, -1)
    for (const number of numbers) this.#settling.set(number, done)
    return {
      applied: () => {
        for (const number of numbers) this.#forget(number)
      },
      refused: () => {
        for (const number of numbers) this.#settling.delete(number)
        this.#count(numbers, 1)
      },
    }
  }

  /** Messages with a lease that is not applied yet, or free ones. */
  known(): Iterable<number> {
    return new Set([...this.#granted.keys(), ...this.free])
  }

  /** The record of the grant is applied. */
  #drop(number: number, { nonce, consumer }: Lease): void {
    this.#granted.delete(number)
    if (this.#parts.applied(number) !== undefined) return
    // The view did not take it in: the message was let go before, by its horizon or with its topic.
    const isHeld = nonce !== 0 && !this.free.has(number) && !this.isSettling(number)
    if (isHeld) this.#parts.count(consumer, -1)
    this.free.delete(number)
  }

  #forget(number: number): void {
    this.#settling.delete(number)
    this.#granted.delete(number)
    this.free.delete(number)
  }

  #heldLease(number: number): Lease | undefined {
    const lease = this.leaseOf(number)
    if (lease === undefined || lease.nonce === 0) return undefined
    return this.free.has(number) || this.isSettling(number) ? undefined : lease
  }

  /** Those of them that are held. Neighbours mostly have one consumer: it is told once. */
  #count(numbers: readonly number[], by: 1 | -1): void {
    let consumer = ''
    let held = 0
    for (const number of numbers) {
      const lease = this.#heldLease(number)
      if (lease === undefined) continue
      if (held > 0 && lease.consumer !== consumer) {
        this.#parts.count(consumer, by * held)
        held = 0
      }
      consumer = lease.consumer
      held += 1
    }
    if (held > 0) this.#parts.count(consumer, by * held)
  }
}

export interface Settlement {
  /** The record is applied. */
  readonly applied: () => void
  /** Nothing was written: all is as before. */
  readonly refused: () => void
}
