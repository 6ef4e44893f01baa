import type { Clock } from '@popmq/kit'
import { isMqError } from '@popmq/protocol'
import { Alarms } from './alarms.ts'
import type { GroupDispatch } from './group-dispatch.ts'
import type { Move, Moved } from './moving.ts'
import type { LeasePlace } from './pick.ts'
import type { GrantedLease } from './popping.ts'

export interface ExpiringParts {
  readonly clock: Clock
  readonly group: (id: GrantedLease['groupId']) => GroupDispatch | undefined
  readonly move: (move: Move) => Promise<Moved | undefined>
  /** Our own bug, or the disk: the broker must stop. */
  readonly onFailed: (error: unknown) => void
}

/** How many deliveries without an answer are followed by another at once; from then on the back-off of the policy counts. */
const freeExpiries = 2
/** A move that the log did not take is tried again after this. */
const retryMs = 1_000
/** Who has a message may not have reached the broker for a while: it gets this long to answer once there is one again. */
const graceMs = 5_000

/**
 * The ends of leases, by the monotonic clock: a wall clock that jumps ends none. Nobody said that the message failed, so
 * the first two times it is free at once, in place; then it is moved as a failed one is.
 */
export class Expiring {
  readonly #parts: ExpiringParts
  readonly #alarms: Alarms<GrantedLease>

  constructor(parts: ExpiringParts) {
    this.#parts = parts
    const { clock } = parts
    this.#alarms = new Alarms({
      clock,
      nowMs: () => clock.monotonic(),
      ring: (lease) => this.#over(lease),
      isLive: (lease) => lease.numbers.some((number) => isCurrent(lease, number)),
    })
  }

  /** How many leases are watched, those over and not yet swept included. */
  get size(): number {
    return this.#alarms.size
  }

  /** The lease is over when its `until` comes. */
  watch(lease: GrantedLease): void {
    const { clock } = this.#parts
    this.#alarms.set(clock.monotonic() + lease.lease.until - clock.now(), lease)
  }

  /**
   * A lease from before this leader began: that nobody led must not cost a delivery. It lasts no longer than it was
   * granted for, grace or not: the wall clock may have been set back.
   */
  honour(lease: GrantedLease): void {
    const { clock } = this.#parts
    const { at, until } = lease.lease
    const leftMs = Math.min(Math.max(until - clock.now(), graceMs), until - at)
    this.#alarms.set(clock.monotonic() + leftMs, lease)
  }

  close(): void {
    this.#alarms.close()
  }

  #over(granted: GrantedLease): void {
    const { groupId, place, numbers } = granted
    const group = this.#parts.group(groupId)
    if (group === undefined || group.isGone(place.key)) return
    for (const number of numbers) {
      if (!isCurrent(granted, number)) continue
      // What settles it may be refused, and nobody waits for what a reset does with it.
      if (place.book.isSettling(number) || group.hasResets) this.#again(granted, number)
      else this.#expire(granted, group, number)
    }
  }

  #expire(granted: GrantedLease, group: GroupDispatch, number: number): void {
    const { clock, move, onFailed } = this.#parts
    const { place } = granted
    const lease = place.book.leaseOf(number)
    if (lease === undefined) return
    const expiries = place.expiriesBefore(number) + lease.earlier.length + 1
    if (lease.attempt < group.group.policy.maxAttempts && expiries <= freeExpiries)
      return this.#free(group, place, number)
    move({ group, place, number, outcome: 'expired', nowMs: clock.now() }).then(
      (moved) => {
        if (moved === undefined) this.#again(granted, number)
      },
      (error: unknown) => {
        if (!isMqError(error)) return onFailed(error)
        // What never fits is handed out again instead.
        if (isMqError(error, 'message_too_large')) this.#free(group, place, number)
        else this.#again(granted, number)
      },
    )
  }

  /** It stays where it is, and is looked at again. */
  #again({ groupId, place, lease }: GrantedLease, number: number): void {
    const atMs = this.#parts.clock.monotonic() + retryMs
    this.#alarms.set(atMs, { groupId, place, numbers: [number], lease })
  }

  #free(group: GroupDispatch, place: LeasePlace, number: number): void {
    if (!place.book.isHeld(number)) return
    place.book.expire(number)
    group.returned(place, number)
    // Others may have waited for room alone.
    group.passOn()
  }
}

/** Whether the message still has this very lease, not extended since. */
function isCurrent({ place, lease }: GrantedLease, number: number): boolean {
  const current = place.book.leaseOf(number)
  return (
    current?.nonce === lease.nonce && current.until === lease.until && !place.book.free.has(number)
  )
}
