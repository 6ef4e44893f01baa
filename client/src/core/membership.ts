import { assert } from '@popmq/kit'
import type { Epoch, Grant, groupJoin, groupSession, HeldGrant } from '@popmq/protocol'
import { partitionKey, type PartitionKey, type ReplyOf, type TopicId } from '@popmq/protocol'
import type { AnswerTimes, AssignmentChange } from './assignment-change.ts'
import { type CommitEntry, type DrainRules, HeldPartition } from './held-partition.ts'
import { PastGrants } from './past-grants.ts'

type SessionReply = ReplyOf<typeof groupSession>

/** Who the member is, until its session is over. */
export type Session = Pick<ReplyOf<typeof groupJoin>, 'groupId' | 'memberId' | 'sessionMs'>

/** The session counts as over by the member's own clock this share of it early. */
const marginShare = 1 / 6

/**
 * One consumer's membership of a group, as it knows it itself.
 *   joining  holds nothing → member by `joined`
 *   member   holds what the last answer granted → joining by `unknown`, → leaving by `leave`
 *   leaving  everything is revoked; it only finishes → left by `left` or `unknown`
 *   left     for good
 *
 * Invariants: what is delivered is held, not fenced, not paused, and the session stands by the member's own clock, which
 * counts from the moment at which the last answered request was sent. A partition is released only after all of it that
 * was handled is committed, or cannot be any more. No grant that was given up is taken up again by an answer from before.
 */
export class Membership {
  readonly #options: DrainRules
  readonly #partitions = new Map<PartitionKey, HeldPartition>()
  readonly #past = new PastGrants()
  readonly #paused = new Set<TopicId>()
  /** Partitions of which something was delivered since more was asked for. */
  readonly #inHand = new Set<HeldPartition>()
  #state: 'joining' | 'member' | 'leaving' | 'left' = 'joining'
  #session: Session | undefined
  #version = 0
  /** The assignment named a grant that was given up since it was asked for. */
  #isOutdated = false
  #renewedAt = Number.NEGATIVE_INFINITY

  constructor(options: DrainRules) {
    this.#options = options
  }

  get state(): 'joining' | 'member' | 'leaving' | 'left' {
    return this.#state
  }

  get session(): Session | undefined {
    return this.#session
  }

  /** Of the assignment that it has. */
  get version(): number {
    return this.#version
  }

  /** When the last answered request was sent, on the monotonic clock. */
  get renewedAt(): number {
    return this.#renewedAt
  }

  get partitions(): Iterable<HeldPartition> {
    return this.#partitions.values()
  }

  find(topicId: number, partition: number): HeldPartition | undefined {
    return this.#partitions.get(partitionKey(topicId as TopicId, partition as Grant['partition']))
  }

  joined({ groupId, memberId, sessionMs }: Session, sentAt: number): void {
    assert(this.#state === 'joining', 'who joins is no member')
    this.#state = 'member'
    this.#session = { groupId, memberId, sessionMs }
    this.#version = 0
    this.#renewedAt = sentAt
    this.#past.clear()
  }

  /** A session request that was sent at `sentAt` was answered. */
  answered({ version, assignment }: SessionReply, sentAt: number, now: number): AssignmentChange {
    const change: AssignmentChange = { granted: [], reset: [], revoked: [], lost: [] }
    if (this.#state !== 'member' && this.#state !== 'leaving') return change
    this.#renewedAt = Math.max(this.#renewedAt, sentAt)
    for (const held of this.#partitions.values()) held.heard(sentAt)
    if (assignment === undefined) return change
    this.#isOutdated = false
    this.#paused.clear()
    for (const topic of assignment.paused) this.#paused.add(topic)
    const named = new Set<PartitionKey>()
    const times = { sentAt, now }
    for (const grant of assignment.grants) named.add(this.#granted(grant, times, change))
    for (const grant of assignment.revoking) named.add(this.#revoked(grant, times, change))
    for (const [key, held] of this.#partitions) {
      if (!named.has(key)) this.#lose(held, now, change.lost)
    }
    // Otherwise it is asked for again: a request from now on tells whether what seemed past holds.
    if (!this.#isOutdated) this.#version = version
    return change
  }

  /** The coordinator does not know the member: all is lost. @returns what it held */
  unknown(): HeldPartition[] {
    const lost: HeldPartition[] = []
    for (const held of this.#partitions.values()) this.#lose(held, 0, lost)
    if (this.#state === 'leaving') this.#state = 'left'
    else if (this.#state === 'member') this.#state = 'joining'
    this.#session = undefined
    this.#inHand.clear()
    return lost
  }

  /** Whether the session stands by the member's own clock. */
  isLive(now: number): boolean {
    const session = this.#session
    if (session === undefined) return false
    return now < this.#renewedAt + session.sessionMs * (1 - marginShare)
  }

  /** Whether messages of it may be delivered while the session stands. */
  isOpen(held: HeldPartition): boolean {
    if (this.#state !== 'member' || this.#partitions.get(held.key) !== held) return false
    return held.state === 'held' && !held.isFenced && !this.#paused.has(held.topicId)
  }

  mayDeliver(held: HeldPartition, now: number): boolean {
    return this.isOpen(held) && this.isLive(now)
  }

  /** Messages up to `next` were delivered. */
  delivered(held: HeldPartition, next: number): void {
    held.delivered = next
    if (this.#options.isAuto) this.#inHand.add(held)
  }

  /** Up to `next` there is nothing that would be delivered: filtered, or jumped over. */
  passed(held: HeldPartition, next: number): void {
    if (held.isInHand || next <= held.delivered) return
    held.delivered = next
    held.handled = next
  }

  /** More was asked for, so what was delivered is handled. */
  asked(): void {
    for (const held of this.#inHand) held.handled = held.delivered
    this.#inHand.clear()
  }

  /** What is in hand will not be handled any more. */
  dropHand(): void {
    for (const held of this.#partitions.values()) held.delivered = held.handled
    this.#inHand.clear()
  }

  /** The user says by himself that he is done up to `at`. */
  handled(held: HeldPartition, at: number): void {
    held.handled = Math.max(held.handled, at)
  }

  /** The coordinator confirmed progress. */
  committed({ topicId, partition, epoch, offset }: CommitEntry): void {
    const held = this.find(topicId, partition)
    if (held?.epoch === epoch) held.committed = Math.max(held.committed, offset)
  }

  /** A broker or the coordinator has a later grant of it. */
  fenced({ topicId, partition, epoch }: HeldGrant, now: number): void {
    const held = this.find(topicId, partition)
    if (held?.epoch === epoch) held.fencedAt = now
  }

  /** The user's callback about the revocation of these has ended. */
  userDone(partitions: readonly HeldPartition[]): void {
    for (const held of partitions) held.isUserDone = true
  }

  /** What is handled of partitions that are revoked, or of all, and is not committed. */
  dueCommits(of: 'revoking' | 'all'): CommitEntry[] {
    const due: CommitEntry[] = []
    for (const { state, isFenced, due: entry } of this.#partitions.values()) {
      const isWanted = state === 'revoking' || (of === 'all' && state === 'held')
      if (isWanted && !isFenced && entry !== undefined) due.push(entry)
    }
    return due
  }

  /** A commit of it failed for a reason other than its fence: after its drain it is not tried again. */
  notCommitted({ topicId, partition, epoch }: CommitEntry, now: number): void {
    const held = this.find(topicId, partition)
    const isOver = held?.epoch === epoch && held.state === 'revoking' && now >= held.drainEndsAt
    if (isOver) held.handled = Math.min(held.handled, held.committed)
  }

  /** Revoked partitions that are finished, or whose time is over; from now on they are released. */
  takeReleases(now: number): HeldGrant[] {
    const released: HeldGrant[] = []
    for (const held of this.#partitions.values()) {
      if (held.state !== 'revoking' || !held.isFinished(now, this.#options)) continue
      held.state = 'released'
      this.#past.released(held.key, held.epoch)
      const { topicId, partition, epoch } = held
      released.push({ topicId, partition, epoch })
    }
    return released
  }

  /** The coordinator was told. */
  releaseAnswered(released: readonly HeldGrant[], now: number): void {
    for (const { topicId, partition, epoch } of released) {
      this.#past.told(partitionKey(topicId, partition), epoch, now)
    }
  }

  /** When the next drain is over, on the monotonic clock. */
  get drainEndsAt(): number {
    let first = Number.POSITIVE_INFINITY
    for (const { state, drainEndsAt } of this.#partitions.values()) {
      if (state === 'revoking') first = Math.min(first, drainEndsAt)
    }
    return first
  }

  /** Gives up everything, in order. @returns what is revoked by it */
  leave(drainEndsAt: number): HeldPartition[] {
    if (this.#state === 'joining') this.#state = 'left'
    if (this.#state !== 'member') return []
    this.#state = 'leaving'
    const revoked: HeldPartition[] = []
    for (const held of this.#partitions.values()) {
      if (held.state === 'held') revoked.push(held)
      if (held.state !== 'released') held.revoke(Math.min(held.drainEndsAt, drainEndsAt))
    }
    return revoked
  }

  /** Whether everything that was held is released. */
  get isEmpty(): boolean {
    return [...this.#partitions.values()].every(({ state }) => state === 'released')
  }

  left(): void {
    this.#partitions.clear()
    this.#state = 'left'
  }

  #granted(grant: Grant, times: AnswerTimes, change: AssignmentChange): PartitionKey {
    const key = partitionKey(grant.topicId, grant.partition)
    const held = this.#partitions.get(key)
    if (held?.epoch === grant.epoch && held.state !== 'released') {
      if (held.state === 'revoking' && this.#state === 'member') {
        held.hold()
        change.granted.push(held)
      }
      return key
    }
    if (this.#isPast(key, grant.epoch, times.sentAt)) return key
    const next = new HeldPartition(grant)
    this.#partitions.set(key, next)
    if (this.#state === 'leaving') next.revoke(times.now)
    else if (held?.state === 'held') change.reset.push(next)
    else change.granted.push(next)
    return key
  }

  #revoked(grant: HeldGrant, times: AnswerTimes, change: AssignmentChange): PartitionKey {
    const key = partitionKey(grant.topicId, grant.partition)
    const held = this.#partitions.get(key)
    if (held?.epoch === grant.epoch && held.state !== 'released') {
      if (held.state === 'held') {
        held.revoke(times.now + this.#options.drainMs)
        change.revoked.push(held)
      }
      return key
    }
    if (this.#isPast(key, grant.epoch, times.sentAt)) return key
    // Given and taken between two answers: nothing of it was read, so it is given back at once.
    if (held !== undefined) this.#lose(held, times.now, change.lost)
    const next = new HeldPartition({ ...grant, offset: 0 as Grant['offset'] })
    next.revoke(times.now)
    this.#partitions.set(key, next)
    return key
  }

  #isPast(key: PartitionKey, epoch: Epoch, sentAt: number): boolean {
    const held = this.#partitions.get(key)
    const isHeld = held !== undefined && held.state !== 'released'
    const isPast = isHeld ? epoch < held.epoch : this.#past.isPast(key, epoch, sentAt)
    this.#isOutdated ||= isPast
    return isPast
  }

  #lose(held: HeldPartition, now: number, lost: HeldPartition[]): void {
    this.#partitions.delete(held.key)
    this.#past.told(held.key, held.epoch, now)
    if (held.state !== 'released') lost.push(held)
  }
}
