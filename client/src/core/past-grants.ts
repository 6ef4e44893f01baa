import type { Epoch, PartitionKey } from '@popmq/protocol'

/** Up to when, on the monotonic clock, requests may have been sent whose answers name the grant from before. */
interface PastGrant {
  readonly epoch: Epoch
  readonly until: number
}

/**
 * The newest grant that was given up of each partition. An answer from before may name it still. An answer to a later
 * request names it where a coordinator took over that was never told: then it holds again.
 */
export class PastGrants {
  readonly #grants = new Map<PartitionKey, PastGrant>()

  /** Given up by this member; nobody was told yet. */
  released(key: PartitionKey, epoch: Epoch): void {
    this.#grants.set(key, { epoch, until: Number.POSITIVE_INFINITY })
  }

  /** The coordinator knows that it was given up. */
  told(key: PartitionKey, epoch: Epoch, now: number): void {
    const past = this.#grants.get(key)
    if (past === undefined || past.epoch <= epoch) this.#grants.set(key, { epoch, until: now })
  }

  /** Whether an answer to a request sent at `sentAt` tells of a grant that is over. */
  isPast(key: PartitionKey, epoch: Epoch, sentAt: number): boolean {
    const past = this.#grants.get(key)
    if (past === undefined || epoch > past.epoch) return false
    return epoch < past.epoch || sentAt <= past.until
  }

  clear(): void {
    this.#grants.clear()
  }
}
