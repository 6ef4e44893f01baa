import { assert, type Clock, type Random, sleep } from '@popmq/kit'
import { isMqError, MqError } from '@popmq/protocol'
import { openCluster, randomName } from './cluster-identity.ts'
import type { CommitOutcome, RegistryOp, RegistrySession } from './registry-port.ts'
import {
  type Counters,
  countersValue,
  decodeValue,
  encodeValue,
  leaderValue,
  paths,
} from './registry-values.ts'

/** What one write does: ops besides those on the counters, and the counters afterwards. */
export interface Change {
  readonly ops: readonly RegistryOp[]
  /** Those that grow; none may shrink. */
  readonly counters?: Partial<Counters>
}

/** How a commit besides the writes ended; after more than one try an earlier one may be what refuses the last. */
export type GuardedOutcome =
  | { readonly kind: 'applied' }
  | (Extract<CommitOutcome, { kind: 'rejected' }> & { readonly tried: number })

export interface LeadershipOptions {
  readonly session: RegistrySession
  readonly clock: Clock
  readonly random: Random
  /** A name for this coordinator, for people. */
  readonly coordinator: string
  /** Called once, when this coordinator may write no more. */
  readonly deposed: (reason: MqError) => void
}

/**
 * The right to write. Taking it sets `/leader`, whose version is the epoch; each write then is one commit of
 *    check /leader at that version · set /counters, compared · the ops
 * so a deposed leader changes nothing. Writes go one by one. One without an answer is committed again: as every write
 * sets /counters to a value of its own, either that one is applied, or /counters tells whether the first one was.
 * States: leading → deposed (another took /leader, or an outcome stayed unknown, or the session is over); deposed is for
 * good, and then every write is refused with `not_coordinator`: nothing was done. What was under way at that moment is
 * answered with what is true of it.
 */
export class Leadership {
  readonly clusterId: string
  readonly epoch: number
  readonly #options: LeadershipOptions
  #counters: Counters
  #countersVersion: number
  #writes = 0
  #deposed: MqError | undefined
  #last: Promise<void> = Promise.resolve()

  private constructor(
    options: LeadershipOptions,
    { clusterId, epoch, counters, countersVersion }: Taken,
  ) {
    this.#options = options
    this.clusterId = clusterId
    this.epoch = epoch
    this.#counters = counters
    this.#countersVersion = countersVersion
  }

  /** Takes the lead, making the cluster if there is none. @throws MqError `newer_format`, `registry_unavailable` */
  static async take(options: LeadershipOptions): Promise<Leadership> {
    const { session } = options
    const clusterId = await openCluster(options)
    const epoch = await becomeLeader(options)
    // Read only after /leader is ours: no earlier leader can write any more.
    const node = await session.read(paths.counters)
    if (node === undefined)
      throw new MqError('data_directory_invalid', `the registry lacks ${paths.counters}`)
    const { leader, write, ...counters } = decodeValue(countersValue, paths.counters, node)
    assert(leader <= epoch && write >= 0, 'the counters were written by an earlier leader')
    const taken = { clusterId, epoch, counters, countersVersion: node.version }
    const leadership = new Leadership(options, taken)
    session.watch(paths.leader, () => void leadership.#look())
    return leadership
  }

  get counters(): Counters {
    return this.#counters
  }

  /** Grows with each write of each leader: less than it was shows a registry that was put back. */
  get countersVersion(): number {
    return this.#countersVersion
  }

  /** What requests are refused with once this coordinator leads no more; undefined while it does. */
  get deposed(): MqError | undefined {
    return this.#deposed
  }

  /**
   * Asks the registry whether this coordinator leads: for an answer that must not come from one that was replaced while
   * it was paused.
   * @throws MqError `not_coordinator`, `registry_unavailable` when it does not say
   */
  async confirm(): Promise<void> {
    if (this.#deposed !== undefined) throw this.#deposed
    const check: RegistryOp = { kind: 'check', path: paths.leader, version: this.epoch }
    const { kind } = await this.#options.session.commit([check])
    if (kind === 'rejected') throw this.depose(this.#replaced())
    if (kind === 'unknown') {
      throw new MqError('registry_unavailable', 'the registry does not say who leads')
    }
  }

  /**
   * Makes one write once those before it are done. `prepare` sees the state that they left; what it throws, this throws.
   * `applied` is called before the next write is prepared. A change without ops and counters is not committed: by the
   * time it was prepared there was nothing left to do.
   * @throws MqError `not_coordinator`, `registry_unavailable`, `disk_full`
   */
  write<T extends Change>(prepare: () => T, applied: (change: T) => void): Promise<T> {
    const written = this.#last.then(async () => {
      if (this.#deposed !== undefined) throw this.#deposed
      const change = prepare()
      if (change.ops.length > 0 || change.counters !== undefined) {
        const counters = await this.#commit(change)
        // Together with `applied`, without a pause: nobody sees a version without what came with it.
        this.#counters = counters
        this.#countersVersion += 1
      }
      applied(change)
      return change
    })
    // The next one starts whatever became of this one, which its own caller hears.
    this.#last = written.then(
      () => undefined,
      () => undefined,
    )
    return written
  }

  /**
   * Makes a commit of its own, beside the writes: not in their order and without /counters. Each op must compare, so that
   * it can be made only once. Refused by /leader, or without a certain answer, this coordinator is deposed.
   * @throws MqError `not_coordinator`, `registry_unavailable`, `disk_full`
   */
  async guarded(ops: readonly RegistryOp[]): Promise<GuardedOutcome> {
    if (this.#deposed !== undefined) throw this.#deposed
    const { outcome, tried } = await this.#commitUntilKnown([
      { kind: 'check', path: paths.leader, version: this.epoch },
      ...ops,
    ])
    // Made under this epoch, it stays made, though another may lead by now.
    if (outcome.kind === 'applied') return outcome
    if (outcome.kind === 'unknown' || (outcome.index === 0 && tried > 1)) {
      throw this.depose(
        new MqError('registry_unavailable', 'the registry does not say whether a write was made'),
      )
    }
    if (outcome.index === 0) throw this.depose(this.#replaced())
    return { kind: 'rejected', index: outcome.index - 1, reason: outcome.reason, tried }
  }

  /** @returns the counters from now on */
  async #commit(change: Change): Promise<Counters> {
    const counters = { ...this.#counters, ...change.counters }
    for (const name of Object.keys(counters) as (keyof Counters)[]) {
      assert(counters[name] >= this.#counters[name], 'a counter never goes back')
    }
    this.#writes += 1
    const value = encodeValue({ leader: this.epoch, write: this.#writes, ...counters })
    const ops: RegistryOp[] = [
      { kind: 'check', path: paths.leader, version: this.epoch },
      { kind: 'set', path: paths.counters, value, version: this.#countersVersion },
      ...change.ops,
    ]
    await this.#carryOut(ops, value)
    return counters
  }

  async #carryOut(ops: readonly RegistryOp[], value: Uint8Array): Promise<void> {
    const { outcome, tried } = await this.#commitUntilKnown(ops)
    if (outcome.kind === 'applied') return
    if (outcome.kind === 'unknown' || (outcome.index === 0 && tried > 1)) {
      throw this.depose(
        new MqError('registry_unavailable', 'the registry does not say whether a write was made'),
      )
    }
    if (outcome.index === 0) {
      throw this.depose(this.#replaced())
    }
    if (tried > 1 && (await this.#wasApplied(value))) return
    const op = ops[outcome.index]
    const what = `the registry changed under its leader: ${op?.kind} ${op?.path} met ${outcome.reason}`
    throw this.depose(new MqError('internal', what))
  }

  /** Repeats a commit that can be made only once (one of its ops compares) until its outcome is known. */
  async #commitUntilKnown(
    ops: readonly RegistryOp[],
  ): Promise<{ outcome: CommitOutcome; tried: number }> {
    const { session, clock } = this.#options
    for (let tried = 1; ; tried += 1) {
      const outcome = await session.commit(ops)
      const isLast = tried === tries || this.#deposed !== undefined
      if (outcome.kind !== 'unknown' || isLast) return { outcome, tried }
      await sleep(clock, firstPauseMs * tried)
    }
  }

  /** Whether an earlier try of a write went through whose repetition was rejected. */
  async #wasApplied(value: Uint8Array): Promise<boolean> {
    try {
      const node = await this.#options.session.read(paths.counters)
      return node?.version === this.#countersVersion + 1 && sameBytes(node.value, value)
    } catch (cause) {
      throw this.depose(
        new MqError('registry_unavailable', 'the registry does not say whether a write was made', {
          cause,
        }),
      )
    }
  }

  /** Stops all further writes. @returns the reason */
  depose(reason: MqError): MqError {
    if (this.#deposed === undefined) {
      const what = `this coordinator leads no more: ${reason.what}`
      this.#deposed = new MqError('not_coordinator', what, { retryAfterMs, cause: reason })
      this.#options.deposed(reason)
    }
    return reason
  }

  #replaced(): MqError {
    const what = `another coordinator leads since epoch ${this.epoch}`
    return new MqError('not_coordinator', what, { retryAfterMs })
  }

  /** /leader has changed, or may have. */
  async #look(): Promise<void> {
    try {
      await this.confirm()
    } catch (error) {
      // What was found out is kept; without an answer the next write asks again, or the session's end tells.
      if (!isMqError(error)) throw error
    }
  }
}

interface Taken {
  readonly clusterId: string
  readonly epoch: number
  readonly counters: Counters
  readonly countersVersion: number
}

/** When to ask again who leads. */
export const retryAfterMs = 100
const tries = 10
const firstPauseMs = 50

/** @returns the epoch: the version of `/leader` that is ours */
async function becomeLeader({
  session,
  clock,
  random,
  coordinator,
}: LeadershipOptions): Promise<number> {
  const value = { coordinator, term: randomName(random) }
  for (let tried = 0; tried < tries; tried += 1) {
    if (tried > 0) await sleep(clock, firstPauseMs * tried)
    const node = await session.read(paths.leader)
    if (node === undefined)
      throw new MqError('data_directory_invalid', `the registry lacks ${paths.leader}`)
    if (decodeValue(leaderValue, paths.leader, node).term === value.term) return node.version
    const { version } = node
    const outcome = await session.commit([
      { kind: 'set', path: paths.leader, value: encodeValue(value), version },
    ])
    if (outcome.kind === 'applied') return version + 1
  }
  throw new MqError(
    'registry_unavailable',
    'the registry did not let this coordinator take the lead',
  )
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index])
}
