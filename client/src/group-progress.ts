import { limits, MqError, quoted } from '@popmq/protocol'
import type { Admin } from './api/admin.ts'
import type { PartitionOffset } from './api/pull-consumer.ts'
import type { TopicPartition } from './api/message.ts'
import type { CommitEntry, HeldPartition } from './core/held-partition.ts'
import type { Membership, Session } from './core/membership.ts'
import type { GroupAssignment } from './group-assignment.ts'
import type { GroupCommits } from './group-commits.ts'
import { checkRange } from './options.ts'
import { sessionOver } from './session-over.ts'

export interface GroupProgressDeps {
  readonly membership: Membership
  readonly assignment: GroupAssignment
  readonly commits: GroupCommits
  readonly admin: Pick<Admin, 'offsets'>
  /** Whether progress is kept. */
  readonly isKept: boolean
  /** More is handled: look at what is due. */
  readonly settled: () => void
}

interface NamedOffset {
  readonly at: PartitionOffset
  readonly held: HeldPartition | undefined
}

interface Refusal {
  readonly place: TopicPartition
  readonly error: MqError
}

/** What a user commits by himself: checked here, then sent, and each refusal told with its partition. */
export class GroupProgress {
  readonly #deps: GroupProgressDeps

  constructor(deps: GroupProgressDeps) {
    this.#deps = deps
  }

  /** What is committed of each partition that is held. */
  committed(): PartitionOffset[] {
    const { membership, assignment, isKept } = this.#deps
    const held = isKept ? [...membership.partitions] : []
    return held
      .filter(({ state }) => state !== 'released')
      .map((each) => ({ ...assignment.placeOf(each), offset: each.committed }))
  }

  /** Commits a batch that was delivered in a session. @throws MqError */
  commitBatch(
    parts: readonly { readonly held: HeldPartition; readonly next: number }[],
    session: Session,
  ): Promise<void> {
    const refused: Refusal[] = []
    const entries: CommitEntry[] = []
    for (const { held, next } of parts) {
      const error = this.#whyNot(held, session)
      if (error !== undefined) refused.push({ place: this.#deps.assignment.placeOf(held), error })
      else if (held.committed < next) entries.push(this.#handled(held, next))
    }
    return this.#commit(entries, refused)
  }

  /** Commits all that was delivered. @throws MqError */
  commitDelivered(): Promise<void> {
    const entries: CommitEntry[] = []
    for (const held of this.#deps.membership.partitions) {
      const isDue = held.state !== 'released' && held.delivered > held.committed
      if (isDue) entries.push(this.#handled(held, held.delivered))
    }
    return this.#commit(entries, [])
  }

  /** Commits offsets that the user names. @throws MqError */
  async commitOffsets(offsets: readonly PartitionOffset[]): Promise<void> {
    const { assignment, membership } = this.#deps
    const { session } = membership
    for (const at of offsets) checkOffset(at)
    const named = offsets.map((at) => ({ at, held: assignment.find(at) }))
    await this.#checkBounds(named)
    const refused: Refusal[] = []
    const entries: CommitEntry[] = []
    for (const { at, held } of named) {
      // Since the bounds were asked for it may have been taken.
      const error = this.#whyNamedNot(held, session, at)
      if (error !== undefined) refused.push({ place: at, error })
      else if (held !== undefined && at.offset > held.committed)
        entries.push(this.#handled(held, at.offset))
    }
    return this.#commit(entries, refused)
  }

  #whyNamedNot(
    held: HeldPartition | undefined,
    session: Session | undefined,
    at: PartitionOffset,
  ): MqError | undefined {
    if (session === undefined) return sessionOver()
    if (held === undefined) return notHeld(at)
    return this.#whyNot(held, session) ?? this.#whyBelow(held, at.offset)
  }

  #handled(held: HeldPartition, at: number): CommitEntry {
    this.#deps.membership.handled(held, at)
    return held.entry(at)
  }

  /** Why a partition that was held in a session cannot be committed any more. */
  #whyNot(held: HeldPartition, session: Session): MqError | undefined {
    const { membership, assignment } = this.#deps
    if (membership.session !== session) return sessionOver()
    const isHeld = membership.find(held.topicId, held.partition) === held
    return isHeld && held.state !== 'released' ? undefined : notHeld(assignment.placeOf(held))
  }

  #whyBelow({ committed }: HeldPartition, offset: number): MqError | undefined {
    if (offset >= committed) return undefined
    const what = `offset ${offset} lies before what is committed, ${committed}`
    return new MqError('offset_below_progress', what, { facts: { committed } })
  }

  /** @throws MqError `offset_out_of_range` for an offset that the broker does not have yet */
  async #checkBounds(named: readonly NamedOffset[]): Promise<void> {
    const { assignment, admin } = this.#deps
    const beyond = named.filter(({ at, held }) => {
      if (held === undefined) return false
      return at.offset > Math.max(held.delivered, assignment.readerOf(held)?.bounds?.high ?? 0)
    })
    // Somebody else may have told the user of more than this consumer was told by the broker.
    for (const topic of new Set(beyond.map(({ at }) => at.topic))) {
      const bounds = await admin.offsets(topic)
      for (const { at } of beyond) {
        if (at.topic !== topic) continue
        const { low = 0, high = 0 } = bounds.find((each) => each.partition === at.partition) ?? {}
        if (at.offset > high) throw beyondEnd(at, { low, high })
      }
    }
  }

  async #commit(entries: readonly CommitEntry[], refused: Refusal[]): Promise<void> {
    const { commits, assignment, isKept, settled } = this.#deps
    if (!isKept) {
      const what = 'a broadcast member without a name keeps its offsets itself'
      throw new MqError('invalid_request', what)
    }
    if (entries.length > 0) {
      for (const { entry, error } of await commits.commit(entries)) {
        refused.push({ place: assignment.placeOf(entry), error })
      }
    }
    settled()
    if (refused.length > 0) throw asOne(refused)
  }
}

function checkOffset({ topic, partition, offset }: PartitionOffset): void {
  if (typeof topic !== 'string') throw new MqError('invalid_request', 'a topic is a name')
  checkRange('a partition', partition, [0, limits.partitionsPerTopic - 1])
  checkRange('an offset', offset, [0, Number.MAX_SAFE_INTEGER])
}

function beyondEnd(
  { topic, partition, offset }: PartitionOffset,
  { low, high }: { low: number; high: number },
): MqError {
  const what = `offset ${offset} of partition ${partition} of topic ${quoted(topic)} is beyond the next one to be visible, ${high}`
  return new MqError('offset_out_of_range', what, {
    facts: { topic, partition, offset, low, high },
  })
}

function notHeld({ topic, partition }: TopicPartition): MqError {
  const what = `partition ${partition} of topic ${quoted(topic)} is not held by this member`
  return new MqError('grant_fenced', what)
}

/** One error for all: the first one's, naming every partition that was refused. */
function asOne(refused: readonly Refusal[]): MqError {
  const [first] = refused
  if (first === undefined) return new MqError('internal', 'nothing was refused')
  const { place, error } = first
  const names = refused.map((each) => `${each.place.topic}-${each.place.partition}`).join(', ')
  const what = `${names.length > 1_000 ? `${names.slice(0, 1_000)}…` : names}: ${error.what}`
  const partitions = names.slice(0, 4_000)
  const facts = { ...error.facts, topic: place.topic, partition: place.partition, partitions }
  return new MqError(error.name, what, { facts, cause: error })
}
