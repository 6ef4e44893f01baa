import { assert, type Clock, type Random, sleep } from '@popmq/kit'
import { MqError } from '@popmq/protocol'
import type { CommitOutcome, RegistryNode, RegistryOp, RegistrySession } from './registry-port.ts'
import {
  type Counters,
  clusterValue,
  countersValue,
  decodeValue,
  encodeValue,
  layoutFormat,
  leaderValue,
  paths,
} from './registry-values.ts'

/** What one write does: ops besides those on the counters, and the counters afterwards. */
export interface Change {
  readonly ops: readonly RegistryOp[]
  /** Those that grow; none may shrink. */
  readonly counters?: Partial<Counters>
}

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
 * States: leading → deposed (another took /leader, or an outcome stayed unknown); deposed is for good.
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
    return new Leadership(options, { clusterId, epoch, counters, countersVersion: node.version })
  }

  get counters(): Counters {
    return this.#counters
  }

  /** Why this coordinator leads no more; undefined while it does. */
  get deposed(): MqError | undefined {
    return this.#deposed
  }

  /**
   * Makes one write once those before it are done. `prepare` sees the state that they left; what it throws, this throws.
   * `applied` is called before the next write is prepared.
   * @throws MqError `not_coordinator`, `registry_unavailable`, `disk_full`
   */
  write<T extends Change>(prepare: () => T, applied: (change: T) => void): Promise<T> {
    const written = this.#last.then(async () => {
      if (this.#deposed !== undefined) throw this.#deposed
      const change = prepare()
      await this.#commit(change)
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

  async #commit(change: Change): Promise<void> {
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
    this.#counters = counters
    this.#countersVersion += 1
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
      throw this.depose(
        new MqError('not_coordinator', `another coordinator leads since epoch ${this.epoch}`),
      )
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

  /** Stops all further writes. @returns the first reason */
  depose(reason: MqError): MqError {
    if (this.#deposed === undefined) {
      this.#deposed = reason
      this.#options.deposed(reason)
    }
    return this.#deposed
  }
}

interface Taken {
  readonly clusterId: string
  readonly epoch: number
  readonly counters: Counters
  readonly countersVersion: number
}

const tries = 10
const firstPauseMs = 50

/** Finds the cluster, or makes it; of two coordinators that make one at once, one finds that of the other. */
async function openCluster({ session, clock, random }: LeadershipOptions): Promise<string> {
  const clusterId = hex(random.fill(new Uint8Array(16)))
  const counters = { topicId: 0, setId: 0, epoch: 0, producerId: 0, version: 0 }
  for (let tried = 0; tried < tries; tried += 1) {
    if (tried > 1) await sleep(clock, firstPauseMs * tried)
    const found = await session.read(paths.cluster)
    if (found !== undefined) return readCluster(found)
    await session.commit([
      {
        kind: 'create',
        path: paths.cluster,
        value: encodeValue({ format: layoutFormat, clusterId }),
      },
      {
        kind: 'create',
        path: paths.leader,
        value: encodeValue({ coordinator: 'none', term: 'none' }),
      },
      {
        kind: 'create',
        path: paths.counters,
        value: encodeValue({ leader: 1, write: 0, ...counters }),
      },
      { kind: 'create', path: paths.brokers, value: new Uint8Array(0) },
      { kind: 'create', path: paths.topics, value: new Uint8Array(0) },
    ])
  }
  throw new MqError('registry_unavailable', 'the registry did not take the new cluster')
}

function readCluster(node: RegistryNode): string {
  const { format, clusterId } = decodeValue(clusterValue, paths.cluster, node)
  if (format <= layoutFormat) return clusterId
  throw new MqError(
    'newer_format',
    `the registry has layout ${format}, this version knows up to ${layoutFormat}`,
    {
      facts: { found: format, known: layoutFormat },
    },
  )
}

/** @returns the epoch: the version of `/leader` that is ours */
async function becomeLeader({
  session,
  clock,
  random,
  coordinator,
}: LeadershipOptions): Promise<number> {
  const value = { coordinator, term: hex(random.fill(new Uint8Array(16))) }
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

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index])
}
