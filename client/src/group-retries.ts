import { assert, Backoff, sleep, type Timer } from '@popmq/kit'
import { isMqError, limits, MqError, type SettleVerb } from '@popmq/protocol'
import type { RetryOptions, RetryResult } from './api/group-consumer.ts'
import type { Message } from './api/message.ts'
import type { Settled } from './api/pop-consumer.ts'
import { LeasedMessage } from './core/leased-message.ts'
import { RetryHand } from './core/retry-hand.ts'
import { toldFailure } from './core/told-failure.ts'
import { MemberGroup } from './member-group.ts'
import { checkRange } from './options.ts'
import { Popping, type PoppingDeps } from './popping.ts'
import { retryResult, type RetryDetails, SetAsides, type SetAsidesDeps } from './set-asides.ts'
import { Settler, type SettlerDeps } from './settler.ts'

export interface GroupRetriesConfig {
  readonly topics: readonly string[]
  readonly commit: 'auto' | 'manual'
  /** Whether they are popped. */
  readonly retries: boolean
  readonly maxBytes: number
}

export interface GroupRetriesDeps extends SetAsidesDeps {
  readonly crc32: PoppingDeps['crc32']
  readonly acks: SettlerDeps['acks']
  /** Names of its topics by id, as they are known. */
  readonly names: ReadonlyMap<number, string>
  /** Whether the member has something assigned, and delivers. */
  readonly isOpen: () => boolean
  /** There is something to deliver, or something was settled. */
  readonly progressed: () => void
}

/** Leases are extended while their messages are here, so that this need not be as long as handling takes. */
const leaseMs = 30_000
const mostMessages = 1_000
const mostPerPop = 100
const popWaitMs = limits.waitMs
const settleWithinMs = 10_000
const pause = { firstMs: 200, mostMs: 15_000 }

/**
 * The retries of a group that pulls, for one member: pops them beside its fetches, one delivery at a time, keeps their
 * leases while they wait or are in hand, and settles them; and sets messages aside that are to become retries.
 */
export class GroupRetries {
  readonly #config: GroupRetriesConfig
  readonly #deps: GroupRetriesDeps
  readonly #group: MemberGroup
  readonly #settler: Settler
  readonly #popping: Popping
  readonly #asides: SetAsides
  readonly #hand = new RetryHand({ leaseMs, mostMessages })
  readonly #closing = new AbortController()
  /** Ends the pop under way. */
  #popEnds = new AbortController()
  #isPopping = false
  #timer: Timer | undefined

  constructor(config: GroupRetriesConfig, deps: GroupRetriesDeps) {
    this.#config = config
    this.#deps = deps
    this.#group = new MemberGroup({ clock: deps.clock, names: deps.names, leaseMs })
    this.#settler = new Settler({ ...deps, group: this.#group })
    const parts = { group: this.#group, settler: this.#settler }
    const popping = { ...deps, ...parts, consumer: deps.identity, retriesOnly: true }
    this.#popping = new Popping({ topics: config.topics, settleWithinMs }, popping)
    this.#asides = new SetAsides(deps)
  }

  get hasSome(): boolean {
    return this.#hand.hasWaiting
  }

  get hasInHand(): boolean {
    return this.#hand.hasInHand
  }

  /** The member's state may have changed: begins to pop, or ends it. */
  look(): void {
    const groupId = this.#deps.groupId()
    if (groupId !== undefined) this.#group.joined(groupId)
    // Whoever may have them is not to wait for this member.
    if (!this.#deps.isOpen()) void this.#settle('release', this.#hand.giveBack())
    if (!this.#mayPop) this.#popEnds.abort()
    else if (!this.#isPopping) void this.#popWhileOpen()
  }

  /** What is delivered now. */
  take(most: number): LeasedMessage[] {
    if (!this.#deps.isOpen()) return []
    const taken = this.#hand.take(most)
    if (taken.length > 0) this.look()
    return taken
  }

  /** More was asked for: what is in hand is handled. */
  asked(): void {
    if (this.#config.commit !== 'auto') return
    // What is not acked in time comes again: nobody is there to be told.
    void this.#settle('ack', this.#hand.settle())
  }

  /** Acks these, or all that are in hand. @throws MqError when some are not acked: they come again */
  async commit(messages?: readonly LeasedMessage[]): Promise<void> {
    const settled = await this.#settle('ack', this.#hand.settle(messages))
    const failed = settled.find(({ result }) => result === 'failed')
    if (failed?.error !== undefined) throw failed.error
    const lost = settled.filter(({ result }) => result !== 'acked' && result !== 'already')
    if (lost.length === 0) return
    const what = `the leases of ${lost.length} retried messages were over: they come again`
    throw new MqError('grant_fenced', what)
  }

  /** @returns a result per message, in order @throws MqError as `GroupConsumer.retry` */
  async retry(messages: readonly Message[], options: RetryOptions): Promise<RetryResult[]> {
    const details = detailsOf(options)
    const leased = messages.filter((message) => message instanceof LeasedMessage)
    const fetched = messages.filter((message) => !(message instanceof LeasedMessage))
    // Told first, so that asking for more meanwhile does not ack them.
    this.#hand.settle(leased)
    const [given, aside] = await Promise.all([
      this.#settle('nack', leased, details),
      this.#asides.set(fetched, details),
    ])
    const failed = given.find(({ result }) => result === 'failed')
    if (failed?.error !== undefined) throw failed.error
    const results = new Map<Message, RetryResult>(aside)
    leased.forEach((message, index) => {
      results.set(message, retryResult(given[index]?.result ?? 'unknown'))
    })
    return messages.map((message) => results.get(message) ?? 'unknown')
  }

  /** Waits until what is being settled is, at most `withinMs`; gives back what was not delivered. */
  async close(withinMs: number): Promise<void> {
    this.#closing.abort()
    this.#popEnds.abort()
    this.#timer?.cancel()
    void this.#settle('release', this.#hand.giveBack())
    this.#hand.drop()
    const over = new AbortController()
    const settled = this.#popping.stop().then(() => this.#settler.idle())
    await Promise.race([settled, sleep(this.#deps.clock, Math.max(1, withinMs), over.signal)])
    over.abort()
  }

  get #mayPop(): boolean {
    if (!this.#config.retries || this.#closing.signal.aborted) return false
    if (this.#group.opened === undefined) return false
    // One delivery at a time: what waits here is hidden from members that might have time for it.
    return this.#deps.isOpen() && !this.#hand.hasWaiting && this.#hand.room > 0
  }

  async #popWhileOpen(): Promise<void> {
    const { clock, random, progressed } = this.#deps
    const backoff = new Backoff(random, pause)
    this.#isPopping = true
    while (this.#mayPop) {
      this.#popEnds = new AbortController()
      const { signal } = this.#popEnds
      const max = Math.min(mostPerPop, this.#hand.room)
      const { maxBytes } = this.#config
      const call = { max, waitMs: popWaitMs, invisibleMs: leaseMs, maxBytes, signal }
      try {
        const messages = await this.#popping.receive(call)
        backoff.reset()
        // From when they came: what was granted while it was asked for is leased for longer.
        this.#hand.popped(messages as readonly LeasedMessage[], clock.monotonic())
        // It may have closed, or given up its partitions, since they came.
        if (!this.#deps.isOpen()) this.look()
        this.#extendLater()
        if (messages.length > 0) progressed()
      } catch (error) {
        if (signal.aborted) continue
        // The user reads on; what is wrong with the group he is told by joining.
        assert(isMqError(error), 'popping fails with an MqError')
        await sleep(clock, backoff.nextMs(), signal)
      }
    }
    this.#isPopping = false
  }

  async #settle(
    verb: SettleVerb,
    messages: readonly LeasedMessage[],
    details: RetryDetails & { readonly invisibleMs?: number } = {},
  ): Promise<Settled[]> {
    if (messages.length === 0) return []
    const call = { verb, handles: messages, details, withinMs: settleWithinMs }
    const settled = await this.#settler.settle(call)
    if (verb !== 'extend') {
      this.#hand.gone(messages)
      this.look()
      this.#deps.progressed()
    }
    return settled
  }

  #extendLater(): void {
    const { clock } = this.#deps
    this.#timer?.cancel()
    this.#timer = undefined
    const { extendsAt } = this.#hand
    if (extendsAt === Number.POSITIVE_INFINITY || this.#closing.signal.aborted) return
    const waitMs = Math.max(1, extendsAt - clock.monotonic())
    this.#timer = clock.after(waitMs, () => void this.#extend())
  }

  async #extend(): Promise<void> {
    const due = this.#hand.due(this.#deps.clock.monotonic())
    this.#extendLater()
    const settled = await this.#settle('extend', due, { invisibleMs: leaseMs })
    due.forEach((message, index) =>
      this.#hand.extended(message, settled[index]?.result ?? 'failed'),
    )
    this.look()
  }
}

/** @throws MqError `invalid_request` */
function detailsOf({ error: thrown, delayMs, retriable }: RetryOptions): RetryDetails {
  if (delayMs !== undefined) checkRange('retry option delayMs', delayMs, [0, limits.delayMs])
  if (retriable !== undefined && typeof retriable !== 'boolean')
    throw new MqError('invalid_request', 'retry option retriable is a flag')
  const error = toldFailure(thrown)
  return {
    ...(error === undefined ? {} : { error }),
    ...(delayMs === undefined ? {} : { delayMs }),
    ...(retriable === undefined ? {} : { retriable }),
  }
}
