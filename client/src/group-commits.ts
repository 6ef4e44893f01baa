import type { Clock, Timer } from '@popmq/kit'
import { asMqError, commit, errorName, MqError, type ReplyOf } from '@popmq/protocol'
import type { Coordinators } from './coordinators.ts'
import { CommitQueue, type CommitRefusal } from './core/commit-queue.ts'
import type { CommitEntry } from './core/held-partition.ts'
import type { Membership, Session } from './core/membership.ts'
import { isSessionOver, sessionOver } from './session-over.ts'

export interface GroupCommitsDeps {
  readonly coordinators: Coordinators
  readonly clock: Clock
  readonly membership: Membership
  /** Whether progress is kept: that of broadcast members without a name is not. */
  readonly isKept: boolean
  /** The coordinator does not know the member. */
  readonly over: (session: Session) => void
  /** Partitions were refused as another's: deliver nothing of them. */
  readonly fenced: () => void
  /** Something was answered: look again at what is due. */
  readonly settled: () => void
}

type Refused = ReplyOf<typeof commit>['refused'][number]

/** How long a commit is tried. */
const tryMs = 30_000
/** After a commit was not taken, what is due by itself waits this long. */
const pauseMs = 250

/** Sends commits, one request at a time, and tells the membership what is committed. */
export class GroupCommits {
  readonly #deps: GroupCommitsDeps
  readonly #queue = new CommitQueue()
  #dueAt = 0
  #timer: Timer | undefined

  constructor(deps: GroupCommitsDeps) {
    this.#deps = deps
  }

  /** Commits what a user names. @returns what was refused */
  commit(entries: readonly CommitEntry[]): Promise<readonly CommitRefusal[]> {
    return new Promise((resolve) => {
      this.#queue.add(entries, resolve)
      this.#send()
    })
  }

  /** Commits what is due by itself: of partitions that are revoked, or of all. */
  flush(of: 'revoking' | 'all'): void {
    const { membership, clock, isKept } = this.#deps
    const due = membership.dueCommits(of)
    if (due.length === 0) return
    if (!isKept) {
      for (const entry of due) membership.committed(entry)
      return
    }
    // What is under way now may be what is due: it is looked at again when that is answered.
    if (!this.#queue.isIdle) return
    const waitMs = this.#dueAt - clock.monotonic()
    if (waitMs > 0) {
      this.#timer?.cancel()
      this.#timer = clock.after(Math.max(1, waitMs), this.#deps.settled)
      return
    }
    this.#queue.add(due, () => undefined)
    this.#send()
  }

  /** The session is over: nothing that waits can be committed. */
  refuse(error: MqError): void {
    this.#queue.refuseWaiting(error)
  }

  stop(): void {
    this.#timer?.cancel()
  }

  #send(): void {
    const { session } = this.#deps.membership
    if (session === undefined) return this.#queue.refuseWaiting(sessionOver())
    const entries = this.#queue.next()
    if (entries.length > 0) void this.#ask(entries, session)
  }

  async #ask(entries: readonly CommitEntry[], session: Session): Promise<void> {
    const { coordinators, membership, over, settled } = this.#deps
    const { groupId, memberId } = session
    try {
      const how = { withinMs: tryMs, isRepeatable: true }
      const request = { groupId, memberId, partitions: [...entries] }
      const { refused } = await coordinators.call(commit, request, how)
      const refusals = refused.flatMap((told) => this.#refusal(told, entries))
      for (const entry of this.#queue.answered(refusals)) membership.committed(entry)
      this.#notTaken(refusals)
    } catch (thrown) {
      const error = asMqError(thrown)
      this.#queue.failed(error)
      this.#notTaken(entries.map((entry) => ({ entry, error })))
      if (isSessionOver(error)) over(session)
    }
    this.#send()
    settled()
  }

  #refusal(told: Refused, entries: readonly CommitEntry[]): CommitRefusal[] {
    const { topicId, partition, error, what, offset } = told
    const entry = entries.find((each) => each.topicId === topicId && each.partition === partition)
    if (entry === undefined) return []
    // Progress may be further than this member knew.
    if (offset !== undefined) this.#deps.membership.committed({ ...entry, offset })
    const facts = offset === undefined ? {} : { committed: offset }
    return [{ entry, error: new MqError(errorName(error), what, { facts }) }]
  }

  #notTaken(refusals: readonly CommitRefusal[]): void {
    if (refusals.length === 0) return
    const { membership, clock, fenced } = this.#deps
    const now = clock.monotonic()
    this.#dueAt = now + pauseMs
    for (const { entry, error } of refusals) {
      if (error.name === 'grant_fenced') membership.fenced(entry, now)
      else membership.notCommitted(entry, now)
    }
    fenced()
  }
}
