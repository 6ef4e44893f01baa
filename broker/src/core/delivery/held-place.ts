import type { Lease } from './lease.ts'
import type { LeasePlace } from './pick.ts'

/** One message of a place. */
export interface HeldPlace {
  readonly place: LeasePlace
  readonly number: number
}

/** The messages that share a lease, ascending: one record changes them. */
export function byLease(
  named: readonly HeldPlace[],
): Map<Lease, { readonly place: LeasePlace; readonly numbers: number[] }> {
  const leases = new Map<Lease, { place: LeasePlace; numbers: number[] }>()
  for (const { place, number } of named) {
    const lease = place.book.leaseOf(number)
    if (lease === undefined) continue
    const there = leases.get(lease)
    if (there === undefined) leases.set(lease, { place, numbers: [number] })
    else there.numbers.push(number)
  }
  for (const { numbers } of leases.values()) numbers.sort((a, b) => a - b)
  return leases
}
