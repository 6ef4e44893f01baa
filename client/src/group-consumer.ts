import { assert, type Timer } from '@popmq/kit'
import { asMqError, type groupJoin, type MqError, type ReplyOf } from '@popmq/protocol'
import type { Admin } from './api/admin.ts'
import type { GroupBatch, GroupConsumer, MemberState } from './api/group-consumer.ts'
import type { Message, TopicPartition } from './api/message.ts'
import type { PartitionOffset, PartitionPosition, ReadFrom } from './api/pull-consumer.ts'
import type { ReceiveOptions } from './api/pull-consumer.ts'
import type { Coordinators } from './coordinators.ts'
import { Membership } from './core/membership.ts'
import type { TakenMessages } from './core/read-ahead.ts'
import { GroupAssignment } from './group-assignment.ts'
import { GroupCommits } from './group-commits.ts'
import { type GroupConsumerConfig, keepsProgress } from './group-consumer-config.ts'
import { GroupProgress } from './group-progress.ts'
import { GroupSession } from './group-session.ts'
import { startTopic } from './group-start.ts'
import { checkRange } from './options.ts'
import { toBatch, withCommit } from './message-batch.ts'
import { byPlace, closed, Reading, type ReadingDeps } from './reading.ts'
import { sessionOver } from './session-over.ts'

export interface GroupConsumerDeps extends ReadingDeps {
  readonly coordinators: Coordinators
  readonly admin: Pick<Admin, 'offsets'>
  /** Who this is, for people. */
  readonly identity: string
}

/** Beyond the drain, `close` waits this long for the last commits. */
const lastCommitMs = 2_000

/** What a member holds: delivers what it was granted, counts what is handled, and gives back in order. */
export class MemberConsumer implements GroupConsumer {
  readonly #config: GroupConsumerConfig
  readonly #deps: GroupConsumerDeps
  readonly #onClosed: () => void
  readonly #membership: Membership
  readonly #reading: Reading
  readonly #assignment: GroupAssignment
  readonly #session: GroupSession
  readonly #commits: GroupCommits
  readonly #progress: GroupProgress
  readonly #unlisten: () => void
  /** Why it cannot be a member. */
  #failure: MqError | undefined
  #closing: Promise<void> | undefined
  /** A loop has a batch in hand. */
  #isInLoop = false
  #autoTimer: Timer | undefined
  #drainTimer: Timer | undefined

  constructor(config: GroupConsumerConfig, deps: GroupConsumerDeps, onClosed: () => void) {
    this.#config = config
    this.#deps = deps
    this.#onClosed = onClosed
    const { drainMs, onRevoke } = config
    const isAuto = config.commit === 'auto'
    const isKept = keepsProgress(config)
    const membership = new Membership({ isAuto, drainMs, asksUser: onRevoke !== undefined })
    this.#membership = membership
    this.#reading = new Reading(config, deps, (reader) => {
      const { topicId, partition, epoch } = this.#assignment.heldBy(reader)
      membership.fenced({ topicId, partition, epoch }, deps.clock.monotonic())
      this.#assignment.withhold()
    })
    this.#assignment = new GroupAssignment(config, {
      ...deps,
      membership,
      reading: this.#reading,
      userDone: (partitions) => {
        membership.userDone(partitions)
        this.#settle()
      },
    })
    this.#session = new GroupSession(
      config,
      { ...deps, membership },
      {
        joined: (unstarted) => void this.#startTopics(unstarted),
        changed: (change) => {
          this.#assignment.changed(change)
          this.#settle()
        },
        lost: (partitions) => {
          this.#assignment.lost(partitions)
          this.#commits.refuse(sessionOver())
          this.#settle()
        },
        failed: (error) => this.#failed(error),
      },
    )
    this.#commits = new GroupCommits({
      ...deps,
      membership,
      isKept,
      over: (session) => this.#session.over(session),
      fenced: () => this.#assignment.withhold(),
      settled: () => this.#settle(),
    })
    const parts = { assignment: this.#assignment, commits: this.#commits, isKept }
    const settled = (): void => this.#settle()
    this.#progress = new GroupProgress({ ...deps, ...parts, membership, settled })
    if (isAuto) this.#autoCommitLater()
    this.#unlisten = this.#assignment.whenTopicGone((error) => this.#failed(error))
    void this.#start()
  }

  get state(): MemberState {
    const { state } = this.#membership
    if (state !== 'member' || this.#membership.isLive(this.#deps.clock.monotonic())) return state
    return 'suspended'
  }

  [Symbol.asyncIterator](): AsyncIterator<GroupBatch, undefined> {
    return this.#batches(undefined)
  }

  batches({ signal }: { readonly signal?: AbortSignal } = {}): AsyncIterable<GroupBatch> {
    return this.#batches(signal)
  }

  async receive(options: ReceiveOptions = {}): Promise<Message[]> {
    this.#asked()
    const taken = await this.#reading.receive(options, (most) => this.#take(most))
    return taken.flatMap(({ messages }) => messages)
  }

  async seek(
    at: TopicPartition,
    to: ReadFrom,
    { signal }: { readonly signal?: AbortSignal } = {},
  ): Promise<number> {
    return this.#reading.seek(at, to, signal)
  }

  pause(partitions?: readonly TopicPartition[]): void {
    this.#reading.pause(partitions)
  }

  resume(partitions?: readonly TopicPartition[]): void {
    this.#reading.resume(partitions)
  }

  position(topic: string, partition: number): number | undefined {
    return this.#reading.readAhead.find(topic, partition)?.position
  }

  positions(): PartitionPosition[] {
    return this.#reading.positions()
  }

  async commit(offsets?: readonly PartitionOffset[]): Promise<void> {
    if (this.#closing !== undefined && this.#membership.state === 'left') throw closed()
    if (offsets !== undefined) return this.#progress.commitOffsets(offsets)
    this.#pass()
    return this.#progress.commitDelivered()
  }

  committed(): PartitionOffset[] {
    return this.#progress.committed().sort(byPlace)
  }

  close({ drainMs = this.#config.drainMs }: { readonly drainMs?: number } = {}): Promise<void> {
    checkRange('drainMs', drainMs, [0, 590_000])
    this.#closing ??= this.#close(drainMs)
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async *#batches(signal: AbortSignal | undefined): AsyncGenerator<GroupBatch, undefined> {
    try {
      while (this.#closing === undefined && signal?.aborted !== true) {
        this.#asked()
        const taken = this.#take(Number.POSITIVE_INFINITY)
        if (taken.length > 0) {
          this.#isInLoop = true
          yield this.#toBatch(taken)
          this.#isInLoop = false
        } else await this.#reading.progress(undefined, signal)
      }
      this.#asked()
    } finally {
      this.#isInLoop = false
      if (this.#closing !== undefined) this.#membership.dropHand()
      this.#settle()
    }
    return undefined
  }

  #toBatch(taken: readonly TakenMessages[]): GroupBatch {
    const held = taken.map(({ reader, next }) => ({ held: this.#assignment.heldBy(reader), next }))
    const { session } = this.#membership
    assert(session !== undefined, 'what is delivered is held by a member')
    return withCommit(toBatch(taken), () => this.#progress.commitBatch(held, session))
  }

  /** @returns what there is, without waiting @throws MqError why nothing can be read */
  #take(most: number): TakenMessages[] {
    if (this.#failure !== undefined) throw this.#failure
    const now = this.#deps.clock.monotonic()
    if (!this.#membership.isLive(now)) return []
    const taken = this.#reading.take(most)
    for (const { reader, next } of taken) {
      const held = this.#assignment.heldBy(reader)
      assert(this.#membership.mayDeliver(held, now), 'only what is held is delivered')
      this.#membership.delivered(held, next)
    }
    return taken
  }

  /** Everything before was handled. */
  #asked(): void {
    this.#membership.asked()
    if (this.#membership.drainEndsAt < Number.POSITIVE_INFINITY) this.#settle()
  }

  /** Does what is due: last commits, then releases; and looks again when the next drain is over. */
  #settle(): void {
    const { clock } = this.#deps
    this.#commits.flush('revoking')
    const releases = this.#membership.takeReleases(clock.monotonic())
    if (releases.length > 0) {
      if (this.#membership.state === 'member') this.#session.release(releases)
      this.#assignment.released()
    }
    this.#drainTimer?.cancel()
    const leftMs = this.#membership.drainEndsAt - clock.monotonic()
    if (leftMs > 0 && leftMs < Number.POSITIVE_INFINITY) {
      this.#drainTimer = clock.after(Math.max(1, leftMs), () => this.#settle())
    }
    this.#reading.progressed()
  }

  /** What was filtered or jumped over needs no handling. */
  #pass(): void {
    for (const held of this.#membership.partitions) {
      const position = this.#assignment.readerOf(held)?.position
      if (position !== undefined) this.#membership.passed(held, position)
    }
  }

  #autoCommitLater(): void {
    this.#autoTimer = this.#deps.clock.after(this.#config.autoCommitMs, () => {
      this.#pass()
      this.#commits.flush('all')
      this.#autoCommitLater()
    })
  }

  async #start(): Promise<void> {
    try {
      await this.#assignment.findTopics(this.#reading.signal)
      if (this.#closing === undefined) this.#session.start()
    } catch (error) {
      this.#failed(asMqError(error))
    }
  }

  async #startTopics(unstarted: ReplyOf<typeof groupJoin>['unstarted']): Promise<void> {
    const { session } = this.#membership
    assert(session !== undefined, 'a member has a session')
    const how = { from: this.#config.from, session }
    const deps = { ...this.#deps, signal: this.#reading.signal }
    try {
      await Promise.all(unstarted.map((topic) => startTopic(topic, how, deps)))
    } catch (error) {
      this.#failed(asMqError(error))
    }
  }

  #failed(error: MqError): void {
    if (this.#closing === undefined) this.#failure ??= error
    this.#reading.progressed()
  }

  async #close(drainMs: number): Promise<void> {
    const { clock } = this.#deps
    this.#autoTimer?.cancel()
    this.#unlisten()
    this.#pass()
    const endsAt = clock.monotonic() + drainMs
    const revoked = this.#membership.leave(endsAt)
    if (!this.#isInLoop) this.#membership.dropHand()
    this.#assignment.revoked(revoked)
    this.#settle()
    while (this.#membership.state === 'leaving' && !this.#membership.isEmpty) {
      const leftMs = endsAt + lastCommitMs - clock.monotonic()
      if (leftMs <= 0) break
      await this.#reading.progress(leftMs, undefined)
    }
    await this.#session.leave()
    this.#reading.stop()
    this.#drainTimer?.cancel()
    this.#commits.stop()
    this.#onClosed()
  }
}
