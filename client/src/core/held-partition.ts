import type { Epoch, Grant, Offset, PartitionKey, PartitionNumber, TopicId } from '@popmq/protocol'
import { offset, partitionKey } from '@popmq/protocol'

/** Progress to commit under a grant. */
export interface CommitEntry {
  readonly topicId: TopicId
  readonly partition: PartitionNumber
  readonly epoch: Epoch
  readonly offset: Offset
}

export interface DrainRules {
  /** How long a revoked partition may be kept, in ms. */
  readonly drainMs: number
  /** Whether what is delivered counts as handled when more is asked for; else what is committed does. */
  readonly isAuto: boolean
  /** Whether the user has a callback whose end is waited for. */
  readonly asksUser: boolean
}

/**
 * One partition under one grant:
 *   held      is fetched and delivered
 *   revoking  nothing more is delivered; what was is being finished and committed
 *   released  given back; remembered until an assignment is without it, so that an older answer does not revive it
 * held → revoking → released; revoking → held when the revocation is taken back. From each it is dropped when it is lost.
 *
 * committed ≤ handled ≤ delivered, unless the user seeks back: then nothing is committed until he is beyond again.
 */
export class HeldPartition {
  readonly key: PartitionKey
  readonly topicId: TopicId
  readonly partition: PartitionNumber
  readonly epoch: Epoch
  state: 'held' | 'revoking' | 'released' = 'held'
  /** A later grant than this one was seen, at this time: no deliveries until the coordinator says again what holds. */
  fencedAt: number | undefined
  /** Behind the last message delivered. */
  delivered: number
  /** Behind the last message that its user is done with. */
  handled: number
  /** What the coordinator has confirmed. */
  committed: number
  /** When it is given back whatever its user does, on the monotonic clock. */
  drainEndsAt = Number.POSITIVE_INFINITY
  /** The user's callback about its revocation has ended. */
  isUserDone = false

  constructor(grant: Grant) {
    this.key = partitionKey(grant.topicId, grant.partition)
    this.topicId = grant.topicId
    this.partition = grant.partition
    this.epoch = grant.epoch
    this.delivered = grant.offset
    this.handled = grant.offset
    this.committed = grant.offset
  }

  get isFenced(): boolean {
    return this.fencedAt !== undefined
  }

  get isInHand(): boolean {
    return this.delivered > this.handled
  }

  /** What is handled and not committed. */
  get due(): CommitEntry | undefined {
    return this.handled > this.committed ? this.entry(this.handled) : undefined
  }

  entry(at: number): CommitEntry {
    const { topicId, partition, epoch } = this
    return { topicId, partition, epoch, offset: offset(at) }
  }

  revoke(drainEndsAt: number): void {
    this.state = 'revoking'
    this.drainEndsAt = drainEndsAt
    this.isUserDone = false
  }

  hold(): void {
    this.state = 'held'
    this.drainEndsAt = Number.POSITIVE_INFINITY
  }

  /** The coordinator has answered a request that was sent at `sentAt`, and still says that the grant holds. */
  heard(sentAt: number): void {
    if (this.fencedAt !== undefined && sentAt > this.fencedAt) this.fencedAt = undefined
  }

  /** Whether a revoked one may be given back. */
  isFinished(now: number, { isAuto, asksUser }: Omit<DrainRules, 'drainMs'>): boolean {
    if (this.isFenced) return true
    if (this.due !== undefined) return false
    if (now >= this.drainEndsAt) return true
    if (asksUser && !this.isUserDone) return false
    return isAuto || !asksUser ? this.committed >= this.delivered : true
  }
}
