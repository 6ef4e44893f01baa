import { assert, Backoff, type Clock, type Random, sleep } from '@popmq/kit'
import { asMqError, groupJoin, groupLeave, groupRelease, groupSession } from '@popmq/protocol'
import { type HeldGrant, isMqError, limits, type MqError, type ReplyOf } from '@popmq/protocol'
import type { Coordinators } from './coordinators.ts'
import type { AssignmentChange } from './core/assignment-change.ts'
import type { HeldPartition } from './core/held-partition.ts'
import type { Membership, Session } from './core/membership.ts'
import type { GroupConsumerConfig } from './group-consumer-config.ts'
import { isSessionOver } from './session-over.ts'

export interface GroupSessionDeps {
  readonly coordinators: Coordinators
  readonly clock: Clock
  readonly random: Random
  readonly requestTimeoutMs: number
  /** Who this is, for people. */
  readonly identity: string
  readonly membership: Membership
}

/** Who is told what came of it. */
export interface GroupSessionOwner {
  /** It is a member. `unstarted`: topics for which the group has to be told where it begins. */
  joined(unstarted: ReplyOf<typeof groupJoin>['unstarted']): void
  changed(change: AssignmentChange): void
  /** Its session was over. */
  lost(partitions: readonly HeldPartition[]): void
  /** It cannot be a member. */
  failed(error: MqError): void
}

/** How long one try to join, to release or to leave lasts. */
const joinTryMs = 30_000
const releaseTryMs = 5_000
const leaveTryMs = 2_000
const pause = { firstMs: 50, mostMs: 1_000 }
/** What the coordinator grants beyond the user's drain, for the last commit and the release to arrive. */
const drainMarginMs = 2_000
const mostPerRelease = 5_000

/** Carries out a membership: joins, keeps the session, gives back, leaves. */
export class GroupSession {
  readonly #config: GroupConsumerConfig
  readonly #deps: GroupSessionDeps
  readonly #owner: GroupSessionOwner
  readonly #stopping = new AbortController()
  readonly #releases: HeldGrant[] = []
  #isReleasing = false
  /** When the member's name was first found to be in use, on the monotonic clock. */
  #inUseSince: number | undefined
  #isLeaving = false
  #running: Promise<void> = Promise.resolve()

  constructor(config: GroupConsumerConfig, deps: GroupSessionDeps, owner: GroupSessionOwner) {
    this.#config = config
    this.#deps = deps
    this.#owner = owner
  }

  start(): void {
    this.#running = this.#run()
  }

  /** Gives partitions back; tried until it is answered or the session is over. */
  release(released: readonly HeldGrant[]): void {
    this.#releases.push(...released)
    if (!this.#isReleasing) void this.#sendReleases()
  }

  /** `session` is over: it joins again by itself. */
  over(session: Session): void {
    const { membership } = this.#deps
    if (membership.session !== session) return
    this.#releases.length = 0
    this.#owner.lost(membership.unknown())
  }

  /** Tells the coordinator, for a moment; a member that cannot is missed when its session is over. */
  async leave(): Promise<void> {
    const { membership, clock } = this.#deps
    this.#isLeaving = true
    if (membership.session === undefined) {
      // A join that is under way would leave a member behind that nobody is.
      await Promise.race([this.#running, sleep(clock, leaveTryMs, this.#stopping.signal)])
    }
    const { session } = membership
    this.#stopping.abort()
    if (session !== undefined) await this.#tellLeaving(session)
    membership.left()
  }

  async #run(): Promise<void> {
    while (!this.#isOver && this.#deps.membership.state === 'joining') {
      const session = await this.#join()
      if (session === undefined || this.#isLeaving) return
      await this.#hold(session)
    }
  }

  get #isOver(): boolean {
    return this.#isLeaving || this.#stopping.signal.aborted
  }

  /** @returns undefined when it is not to be */
  async #join(): Promise<Session | undefined> {
    const { coordinators, membership, clock, random } = this.#deps
    const how = { withinMs: joinTryMs, isRepeatable: true, signal: this.#stopping.signal }
    const backoff = new Backoff(random, pause)
    while (!this.#isOver) {
      const sentAt = clock.monotonic()
      try {
        const { unstarted, ...joined } = await coordinators.call(groupJoin, this.#request(), how)
        if (membership.state !== 'joining') return await this.#unwanted(joined)
        membership.joined(joined, sentAt)
        this.#inUseSince = undefined
        this.#owner.joined(unstarted)
        return membership.session
      } catch (thrown) {
        const error = asMqError(thrown)
        if (this.#stopping.signal.aborted) return undefined
        if (!this.#mayJoinLater(error, sentAt)) {
          this.#owner.failed(error)
          return undefined
        }
        await sleep(clock, backoff.nextMs(), this.#stopping.signal)
      }
    }
    return undefined
  }

  #mayJoinLater({ name, retriable }: MqError, askedAt: number): boolean {
    if (name !== 'member_in_use') return retriable !== 'no'
    // The one before may have ended without a word; then its session is soon over.
    this.#inUseSince ??= askedAt
    return this.#deps.clock.monotonic() < this.#inUseSince + joinTryMs
  }

  /** Joined, but closed meanwhile. */
  async #unwanted(session: Session): Promise<undefined> {
    await this.#tellLeaving(session)
    return undefined
  }

  #request() {
    const { group, topics, broadcast, tags, member, drainMs } = this.#config
    return {
      group,
      topics: [...topics],
      mode: broadcast ? ('broadcast' as const) : ('pull' as const),
      client: this.#deps.identity,
      drainMs: drainMs + drainMarginMs,
      ...(tags === undefined ? {} : { tags: [...new Set(tags)].sort() }),
      ...(member === undefined ? {} : { member }),
    }
  }

  /** Requests back to back, until the session is over. */
  async #hold(session: Session): Promise<void> {
    const { coordinators, membership, clock, random } = this.#deps
    const { groupId, memberId, sessionMs } = session
    const { signal } = this.#stopping
    const waitMs = Math.min(limits.waitMs, Math.floor(sessionMs / 4))
    const withinMs = waitMs + Math.min(this.#deps.requestTimeoutMs, Math.max(250, sessionMs / 4))
    const backoff = new Backoff(random, pause)
    while (membership.session === session && !signal.aborted) {
      const sentAt = clock.monotonic()
      const request = { groupId, memberId, version: membership.version, waitMs }
      try {
        const how = { withinMs, holdMs: waitMs, isRepeatable: true, signal }
        const reply = await coordinators.call(groupSession, request, how)
        if (membership.session !== session) return
        this.#owner.changed(membership.answered(reply, sentAt, clock.monotonic()))
        const isTaken = reply.assignment === undefined || membership.version === reply.version
        if (isTaken) backoff.reset()
        else await sleep(clock, backoff.nextMs(), signal)
      } catch (thrown) {
        const error = asMqError(thrown)
        if (signal.aborted) return
        if (isSessionOver(error)) return this.over(session)
        if (error.retriable === 'no') {
          this.over(session)
          this.#stopping.abort()
          return this.#owner.failed(error)
        }
        await sleep(clock, backoff.nextMs(), signal)
      }
    }
  }

  async #sendReleases(): Promise<void> {
    const { coordinators, membership, clock, random } = this.#deps
    const { signal } = this.#stopping
    const backoff = new Backoff(random, pause)
    this.#isReleasing = true
    while (this.#releases.length > 0 && !signal.aborted) {
      const { session } = membership
      if (session === undefined) break
      const { groupId, memberId } = session
      const released = this.#releases.slice(0, mostPerRelease)
      try {
        const how = { withinMs: releaseTryMs, isRepeatable: true, signal }
        await coordinators.call(groupRelease, { groupId, memberId, released }, how)
        if (membership.session !== session) continue
        this.#releases.splice(0, released.length)
        membership.releaseAnswered(released, clock.monotonic())
      } catch (error) {
        if (isSessionOver(asMqError(error))) this.over(session)
        else await sleep(clock, backoff.nextMs(), signal)
      }
    }
    this.#isReleasing = false
  }

  async #tellLeaving({ groupId, memberId }: Session): Promise<void> {
    const how = { withinMs: leaveTryMs, isRepeatable: true }
    try {
      await this.#deps.coordinators.call(groupLeave, { groupId, memberId }, how)
    } catch (error) {
      // Nobody could be told; the session runs out by itself.
      assert(isMqError(error), 'leaving fails with an MqError')
    }
  }
}
