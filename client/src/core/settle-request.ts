import type { SettledLease } from '@popmq/protocol'
import type { LeaseHandles } from './settlement.ts'

/** Keeps a request within the limits of its field map, however many leases its handles are of. */
const mostHandles = 8_000
const mostBytes = 700_000
const bytesPerLease = 32
const bytesPerNumber = 9

/** The leases that one request settles: as many as it may carry, and one at least. */
export class SettleRequest {
  readonly #leases: LeaseHandles[] = []
  #handles = 0
  #bytes = 0

  get leases(): readonly LeaseHandles[] {
    return this.#leases
  }

  /** @returns false when there is no room for all of these: then none was added */
  tryAdd(leases: readonly LeaseHandles[]): boolean {
    let handles = this.#handles
    let bytes = this.#bytes
    for (const { lease, numbers } of leases) {
      handles += numbers.length
      bytes += lease.length + bytesPerLease + numbers.length * bytesPerNumber
    }
    if (this.#leases.length > 0 && (handles > mostHandles || bytes > mostBytes)) return false
    this.#leases.push(...leases)
    this.#handles = handles
    this.#bytes = bytes
    return true
  }

  /** What is sent. */
  get fields(): readonly SettledLease[] {
    return this.#leases.map(({ lease, numbers }) => ({ lease, numbers }))
  }
}

/** What one request may carry, in order. */
export function* settleRequests(leases: readonly LeaseHandles[]): Generator<SettleRequest> {
  let request = new SettleRequest()
  for (const lease of leases) {
    if (request.tryAdd([lease])) continue
    yield request
    request = new SettleRequest()
    request.tryAdd([lease])
  }
  if (request.leases.length > 0) yield request
}
