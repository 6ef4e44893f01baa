import { assert, type Timer } from '@popmq/kit'
import { asMqError, type groupJoin, type MqError, type ReplyOf } from '@popmq/protocol'
import type { Admin, CallOptions } from './api/admin.ts'
import type { GroupBatch, GroupConsumer, MemberState } from './api/group-consumer.ts'
import type { RetryOptions, RetryResult } from './api/group-consumer.ts'
import type { Message, TopicPartition } from './api/message.ts'
import type { PartitionOffset, PartitionPosition, ReadFrom } from './api/pull-consumer.ts'
import type { ReceiveOptions } from './api/pull-consumer.ts'
import type { Coordinators } from './coordinators.ts'
import { Membership } from './core/membership.ts'
import { GroupAssignment } from './group-assignment.ts'
import { GroupCommits } from './group-commits.ts'
import { type GroupConsumerConfig, keepsProgress } from './group-consumer-config.ts'
import { GroupDelivery } from './group-delivery.ts'
import { GroupProgress } from './group-progress.ts'
import type { GroupRetries } from './group-retries.ts'
import { GroupSession } from './group-session.ts'
import { startTopic } from './group-start.ts'
import { memberRetries, retryGiven } from './member-retries.ts'
import { checkRange } from './options.ts'
import { byPlace, closed, Reading, type ReadingDeps } from './reading.ts'
import { sessionOver } from './session-over.ts'
import type { SharedAcks } from './shared-acks.ts'

export interface GroupConsumerDeps extends ReadingDeps {
  readonly acks: SharedAcks
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
  readonly #retries: GroupRetries | undefined
  readonly #delivery: GroupDelivery
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
    const sources = { membership, assignment: this.#assignment, reading: this.#reading }
    this.#retries = memberRetries(config, { ...deps, ...sources })
    this.#delivery = new GroupDelivery({
      ...{ ...sources, clock: deps.clock, progress: this.#progress, retries: this.#retries },
      failure: () => this.#failure,
    })
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
    return this.#delivery.receive(options)
  }

  async seek(at: TopicPartition, to: ReadFrom, { signal }: CallOptions = {}): Promise<number> {
    return this.#reading.seek(at, to, signal)
  }

  pause(partitions?: readonly TopicPartition[]): void {
    this.#reading.pause(partitions)
    this.#retries?.look()
  }

  resume(partitions?: readonly TopicPartition[]): void {
    this.#reading.resume(partitions)
    this.#retries?.look()
  }

  position(topic: string, partition: number): number | undefined {
    return this.#reading.readAhead.find(topic, partition)?.position
  }

  positions(): PartitionPosition[] {
    return this.#reading.positions()
  }

  async commit(offsets?: readonly PartitionOffset[]): Promise<void> {
    this.#refuseLeft()
    if (offsets !== undefined) return this.#progress.commitOffsets(offsets)
    this.#assignment.pass()
    await Promise.all([this.#progress.commitDelivered(), this.#retries?.commit()])
  }

  committed(): PartitionOffset[] {
    return this.#progress.committed().sort(byPlace)
  }

  retry(message: Message, options?: RetryOptions): Promise<RetryResult>
  retry(messages: readonly Message[], options?: RetryOptions): Promise<RetryResult[]>
  async retry(
    given: Message | readonly Message[],
    options?: RetryOptions,
  ): Promise<RetryResult | RetryResult[]> {
    this.#refuseLeft()
    return retryGiven(this.#retries, given, options)
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
        const batch = this.#delivery.nextBatch()
        if (batch !== undefined) {
          this.#isInLoop = true
          yield batch
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

  /** Everything before was handled. */
  #asked(): void {
    this.#membership.asked()
    this.#retries?.asked()
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
    this.#retries?.look()
    this.#reading.progressed()
  }

  #autoCommitLater(): void {
    this.#autoTimer = this.#deps.clock.after(this.#config.autoCommitMs, () => {
      this.#assignment.pass()
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

  /** @throws MqError `closed` */
  #refuseLeft(): void {
    if (this.#closing !== undefined && this.#membership.state === 'left') throw closed()
  }

  #failed(error: MqError): void {
    if (this.#closing === undefined) this.#failure ??= error
    this.#reading.progressed()
  }

  async #close(drainMs: number): Promise<void> {
    const { clock } = this.#deps
    this.#autoTimer?.cancel()
    this.#unlisten()
    this.#assignment.pass()
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
    while (this.#isInLoop && this.#retries?.hasInHand === true && clock.monotonic() < endsAt) {
      await this.#reading.progress(endsAt - clock.monotonic(), undefined)
    }
    await Promise.all([this.#session.leave(), this.#retries?.close(lastCommitMs)])
    this.#reading.stop()
    this.#drainTimer?.cancel()
    this.#commits.stop()
    this.#onClosed()
  }
}
