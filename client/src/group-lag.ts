import type { Clock } from '@popmq/kit'
import { groupLag, isMqError, type PartitionState, type ReplyOf } from '@popmq/protocol'
import type { Admin, CallOptions, PartitionOffsets } from './api/admin.ts'
import type { GroupStates, PartitionLag, PartitionProgress } from './api/group-admin.ts'
import type { MessageStates } from './api/group-waiting.ts'
import type { TopicPartition } from './api/message.ts'
import type { Coordinators } from './coordinators.ts'
import { byPlace } from './reading.ts'

export interface GroupLagDeps {
  readonly coordinators: Coordinators
  readonly clock: Clock
  readonly admin: Pick<Admin, 'offsets' | 'messageAt'>
}

/** What the coordinator tells of a group beside its lag. */
export interface GroupReadings {
  readonly group: string
  /** Of broadcast members. */
  readonly broadcast: readonly PartitionProgress[]
  readonly nameOf: (topicId: number) => string
}

type Told = ReplyOf<typeof groupLag>
type UnagedLag = Omit<PartitionLag, 'lagMs'>

/** Messages that are looked at at once to tell the age of what is not committed. */
const lookupsAtOnce = 16
const tryMs = 30_000

/** How far behind a group is: told by the coordinator, for broadcast members reckoned from their progress. */
export class GroupLag {
  readonly #deps: GroupLagDeps

  constructor(deps: GroupLagDeps) {
    this.#deps = deps
  }

  async states(
    { group, broadcast, nameOf }: GroupReadings,
    options: CallOptions,
  ): Promise<GroupStates> {
    const { signal } = options
    const how = { withinMs: tryMs, isRepeatable: true, ...(signal === undefined ? {} : { signal }) }
    const told = await this.#deps.coordinators.call(groupLag, { group }, how)
    const names = new Map<number, string>(told.topics.map(({ topicId, name }) => [topicId, name]))
    const name = (topicId: number): string => names.get(topicId) ?? nameOf(topicId)
    const place = ({ topicId, partition }: Told['unknown'][number]): TopicPartition => {
      return { topic: name(topicId), partition }
    }
    const shared = await this.#inTurn(told.partitions, (state) =>
      this.#row(state, { place: place(state), at: told.at }, options),
    )
    const rows = [...shared, ...(await this.#broadcast(broadcast, options))]
    return {
      partitions: rows.sort((a, b) => byPlace(a, b) || byText(a.member, b.member)),
      unknown: told.unknown.map(place).sort(byPlace),
      delayed: told.delayed
        .map(({ topicId, count }) => ({ topic: name(topicId), count }))
        .sort((a, b) => byText(a.topic, b.topic)),
    }
  }

  async #row(
    state: PartitionState,
    { place, at }: { place: TopicPartition; at: number },
    options: CallOptions,
  ): Promise<PartitionLag> {
    const { low, high, committed, ready, oldestReadyAt } = state
    const states = statesOf(state, at)
    if (committed === undefined) {
      const lagMs = ready === 0 ? 0 : states.readyAgeMs
      return { ...place, committed: -1, low, high, messages: ready, lagMs, states }
    }
    const messages = unread(committed, { low, high })
    const row = { ...place, committed, low, high, messages, states }
    if (messages > 0 && oldestReadyAt === undefined) return this.#withAge(row, options)
    return { ...row, lagMs: messages === 0 ? 0 : states.readyAgeMs }
  }

  async #broadcast(
    progress: readonly PartitionProgress[],
    options: CallOptions,
  ): Promise<PartitionLag[]> {
    const bounds = new Map<string, PartitionOffsets[]>()
    for (const { topic } of progress) {
      if (!bounds.has(topic)) bounds.set(topic, await this.#bounds(topic, options))
    }
    const rows = progress.flatMap(({ offset: committed, ...place }) => {
      const found = bounds.get(place.topic)?.find((each) => each.partition === place.partition)
      if (found === undefined) return []
      const { low, high } = found
      return [{ ...place, committed, low, high, messages: unread(committed, found) }]
    })
    return this.#inTurn(rows, (row) => this.#withAge(row, options))
  }

  async #inTurn<T, R>(all: readonly T[], ask: (each: T) => Promise<R>): Promise<R[]> {
    const told: R[] = []
    for (let at = 0; at < all.length; at += lookupsAtOnce) {
      told.push(...(await Promise.all(all.slice(at, at + lookupsAtOnce).map(ask))))
    }
    return told
  }

  /** @returns none for a topic that is gone */
  async #bounds(topic: string, options: CallOptions): Promise<PartitionOffsets[]> {
    try {
      return await this.#deps.admin.offsets(topic, options)
    } catch (error) {
      if (isMqError(error, 'topic_not_found', 'invalid_name')) return []
      throw error
    }
  }

  /** The age of the first message that is not committed. */
  async #withAge(row: UnagedLag, options: CallOptions): Promise<PartitionLag> {
    if (row.messages === 0) return { ...row, lagMs: 0 }
    const { topic, partition, committed, low } = row
    const { admin, clock } = this.#deps
    try {
      const first = { topic, partition, offset: Math.max(committed, low) }
      const { appendedAt } = await admin.messageAt(first, options)
      return { ...row, lagMs: Math.max(0, clock.now() - appendedAt) }
    } catch (error) {
      const isGone = isMqError(error, 'offset_out_of_range', 'message_not_found', 'topic_not_found')
      if (isGone) return { ...row, lagMs: undefined }
      throw error
    }
  }
}

function unread(committed: number, { low, high }: { low: number; high: number }): number {
  return Math.max(0, high - Math.max(committed, low))
}

function statesOf(state: PartitionState, at: number): MessageStates {
  const { ready, leased, retrying, parked, dead, acked, skipped } = state
  const { oldestReadyAt, oldestLeasedAt, oldestRetryingAt, oldestDeadAt } = state
  // The clocks of two servers: what was appended just now may seem to come from later.
  const ageOf = (oldest: number): number => Math.max(0, at - oldest)
  return {
    ...{ ready, leased, retrying, parked, dead, acked, skipped },
    ...(oldestReadyAt === undefined ? {} : { readyAgeMs: ageOf(oldestReadyAt) }),
    ...(oldestLeasedAt === undefined ? {} : { leasedAgeMs: ageOf(oldestLeasedAt) }),
    ...(oldestRetryingAt === undefined ? {} : { retryingAgeMs: ageOf(oldestRetryingAt) }),
    ...(oldestDeadAt === undefined ? {} : { deadAgeMs: ageOf(oldestDeadAt) }),
  }
}

function byText(a = '', b = ''): number {
  if (a === b) return 0
  return a < b ? -1 : 1
}
