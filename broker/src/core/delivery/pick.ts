import { isHeldNumber, type LogPosition, type PartitionKey } from '@popmq/protocol'
import type { RecordPlace } from './delivery-log.ts'
import type { Lease } from './lease.ts'
import type { LeaseBook } from './lease-book.ts'

/** A message that is about to be handed out. */
export interface Picked {
  readonly place: LeasePlace
  /** Its offset, or its held number. */
  readonly number: number
  readonly position: LogPosition
  readonly bytes: number
  /** Which delivery this will be. */
  readonly attempt: number
}

/** Where messages are leased: a partition of a group, or the retries of it that come from one partition. */
export interface LeasePlace {
  readonly key: PartitionKey
  readonly book: LeaseBook
  /** Of the group in the partition. */
  readonly generation: number
  /** Below it, what is neither open nor handed out now was passed by; 0 for retries. */
  readonly cursor: number
  /** Where the record is; undefined when its entry must be loaded, `gone` when it cannot be read any more. */
  locate(number: number): RecordPlace | 'gone' | undefined
  /** Deliveries before this copy was made, and how many of them ended without an answer. */
  attemptsBefore(number: number): number
  expiriesBefore(number: number): number
  /** Nothing was handed out after all: these are there to be picked again. */
  putBack(numbers: readonly number[]): void
}

/** How much may still be handed out to one pop. */
export class Room {
  readonly picked: Picked[] = []
  /** Held numbers among them. */
  readonly #held = new Set<number>()
  #count: number
  #bytes: number

  constructor({ max, maxBytes }: { readonly max: number; readonly maxBytes: number }) {
    this.#count = max
    this.#bytes = maxBytes
  }

  /** How many more, if they are small enough. */
  get left(): number {
    return this.#count
  }

  get isFull(): boolean {
    return this.#count <= 0 || (this.#bytes <= 0 && this.picked.length > 0)
  }

  /** Whether a retry was picked already. */
  hasHeld(number: number): boolean {
    return this.#held.has(number)
  }

  /** @returns whether it fits; the first one always does */
  take(picked: Picked): boolean {
    if (this.isFull || (this.picked.length > 0 && picked.bytes > this.#bytes)) {
      this.#bytes = 0
      return false
    }
    this.picked.push(picked)
    if (isHeldNumber(picked.number)) this.#held.add(picked.number)
    this.#count -= 1
    this.#bytes -= picked.bytes
    return true
  }
}

/** Which delivery the next one is, after this lease. */
export function nextAttempt(lease: Lease | undefined, before = 0): number {
  return (lease?.attempt ?? before) + 1
}
