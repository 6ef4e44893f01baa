import {
  type groupLag,
  offset,
  type PartitionNumber,
  partitionNumber,
  type PartitionState,
  type ReplyOf,
  type TopicId,
} from '@popmq/protocol'
import type { Group } from './group.ts'
import type { TopicReading } from './group-values.ts'
import type { Groups } from './groups.ts'
import { readingKey } from './reading.ts'
import type { BrokerReport } from './wanted-reports.ts'

/** A partition that a group pops or pulls, and the set that can tell of it. */
export interface LagPlace {
  readonly topicId: TopicId
  readonly partition: PartitionNumber
  readonly setId: number
}

/** In broadcast there is no lag of the group: each member has its own. */
export function lagPlaces(groups: Groups, group: Group): LagPlace[] {
  return lagTopics(group).flatMap(({ name, topicId }) => {
    const info = groups.topic(name)
    if (info?.id !== topicId) return []
    return info.sets.map((setId, at) => ({ topicId, partition: partitionNumber(at), setId }))
  })
}

type Lag = Omit<ReplyOf<typeof groupLag>, 'at'>

/** Puts together what the brokers told, by the set that each leads. Of a partition only its own broker is heard. */
export function lagOf(
  group: Group,
  places: readonly LagPlace[],
  reports: ReadonlyMap<number, BrokerReport>,
): Lag {
  const states = new Map<string, PartitionState>()
  for (const [setId, { partitions }] of reports)
    for (const state of partitions) states.set(placeKey({ ...state, setId }), state)
  const known: PartitionState[] = []
  const unknown: Lag['unknown'][number][] = []
  for (const place of places) {
    const { topicId, partition } = place
    const told = states.get(placeKey(place))
    if (told === undefined) unknown.push({ topicId, partition })
    else known.push(stateOf(group, told))
  }
  const topics = lagTopics(group).map(({ topicId, name }) => ({ topicId, name }))
  return { partitions: known, unknown, topics, delayed: delayedOf(group, reports) }
}

/**
 * Where the messages of a pulled partition are. Its broker knows `low` and `high`, and what was set aside: `retrying`,
 * `leased` (retries that are handed out) and `dead`; the coordinator knows what is committed. So
 *    ready     is what lies behind both the committed offset and `low`
 *    skipped   is what expired before it was read: below `low`, and not committed. What a start or a reset passed by is
 *              not known apart from what was read: it counts as acked.
 *    acked     is the rest
 * A message set aside whose offset is not committed yet would count twice: in its state, and as ready or skipped. Acked
 * is never below 0: what is missing is taken from ready, then from skipped. So the states sum to `high`, also where what
 * was told and what is committed are not of the same moment.
 */
export function pulledState(told: PartitionState, committed: number | undefined): PartitionState {
  const { low, high, oldestReadyAt, ...rest } = told
  const at = Math.min(committed ?? 0, high)
  const counts = {
    ready: high - Math.max(at, Math.min(low, high)),
    skipped: Math.max(0, Math.min(low, high) - at),
    retrying: told.retrying,
    leased: told.leased,
    dead: told.dead,
  }
  let acked = high - Object.values(counts).reduce((sum, count) => sum + count, 0)
  for (const from of ['ready', 'skipped', 'retrying', 'leased', 'dead'] as const) {
    const taken = Math.min(counts[from], Math.max(0, -acked))
    counts[from] -= taken
    acked += taken
  }
  return {
    ...rest,
    low,
    high,
    ...counts,
    parked: 0,
    acked,
    ...(oldestReadyAt === undefined || counts.ready === 0 ? {} : { oldestReadyAt }),
    ...(committed === undefined ? {} : { committed: offset(committed) }),
  }
}

function stateOf(group: Group, told: PartitionState): PartitionState {
  const { topicId, partition } = told
  if (group.topic(topicId)?.mode === 'pop') return told
  const progress = group.readings.get(readingKey(topicId))?.progress
  return pulledState(told, progress?.isStarted === true ? progress.durableAt(partition) : undefined)
}

function delayedOf(group: Group, reports: ReadonlyMap<number, BrokerReport>): Lag['delayed'] {
  const counts = new Map<TopicId, number>()
  for (const { delayed } of reports.values())
    for (const { topicId, count } of delayed)
      counts.set(topicId, (counts.get(topicId) ?? 0) + count)
  return lagTopics(group).flatMap(({ topicId }) => {
    const count = counts.get(topicId)
    return count === undefined ? [] : [{ topicId, count }]
  })
}

function lagTopics({ record }: Group): TopicReading[] {
  return record.topics.filter(({ mode }) => mode !== 'broadcast')
}

function placeKey({ topicId, partition, setId }: LagPlace): string {
  return `${topicId}/${partition}/${setId}`
}
