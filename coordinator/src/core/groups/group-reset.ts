import {
  type groupReset,
  MqError,
  type Offset,
  quoted,
  type ReplyOf,
  type RequestOf,
  type TopicId,
} from '@popmq/protocol'
import type { Change } from '../leadership.ts'
import type { RegistryOp } from '../registry-port.ts'
import { epochOf, type GrantRow, renewRow } from './grant-row.ts'
import type { Group } from './group.ts'
import { grantsOp } from './group-grants.ts'
import { setRecord } from './group-record.ts'
import type { TopicReading } from './group-values.ts'
import type { Groups } from './groups.ts'
import type { Member } from './members.ts'
import type { ProgressSnapshot } from './progress.ts'
import type { Reading } from './reading.ts'

type Moves = ReplyOf<typeof groupReset>['moves']

/**
 * Sets progress of one topic, lower too. Popped or pulled, the reset has a number of its own, and every broker with a
 * session has carried it out before it is done. Pulled, each partition gets a new epoch too, so what was granted before is
 * void.
 * @throws MqError `group_not_found`, `topic_not_found`, `partition_not_found`, those of a write, `timed_out`; pulled, what
 *   was to be tried again may be void by then: ask again
 */
export async function resetGroup(
  groups: Groups,
  { group: name, topicId, offsets, dryRun, operator = 'somebody' }: RequestOf<typeof groupReset>,
): Promise<Moves> {
  const group = groups.named(name)
  const topic = topicRead(group, topicId)
  const changes = new Map(offsets.map(({ partition, offset }) => [partition, offset]))
  const partitions = groups.topic(topic.name)?.sets.length ?? 0
  for (const partition of changes.keys()) {
    if (partition >= partitions)
      throw new MqError('partition_not_found', `topic ${topicId} has ${partitions} partitions`)
  }
  if (topic.mode === 'pop') {
    if (dryRun !== true && changes.size > 0)
      await resetAtBrokers(groups, group, { topicId, changes })
    return Array.from(changes, ([partition, to]) => ({ partition, to }))
  }
  const readings = readingsToReset(group, topic, partitions)
  const shared = readings.find(({ reader }) => reader === undefined)
  const moves = [...changes].map(([partition, to]) => {
    const isKnown = shared?.progress.isStarted === true
    const from = isKnown ? { from: shared.progress.durableAt(partition) as Offset } : {}
    return { partition, ...from, to }
  })
  if (dryRun === true) return moves
  // First what was set aside is void, or members would pass it by on their way. Whoever asked is told if the rest fails.
  if (shared !== undefined && changes.size > 0)
    await resetAtBrokers(groups, group, { topicId, changes })
  for (const reading of readings) {
    await alone(groups, [reading], () => writeReset(groups, group, { reading, changes, operator }))
  }
  return moves
}

type Changes = ReadonlyMap<GrantRow['partition'], Offset>

/**
 * Where these partitions go on is written with the group: brokers carry out what is newer than they know. It is all that a
 * popped topic needs; of a pulled one it voids the retries of what is read again.
 */
async function resetAtBrokers(
  groups: Groups,
  group: Group,
  { topicId, changes }: { readonly topicId: TopicId; readonly changes: Changes },
): Promise<void> {
  const { version } = await groups.leadership.write(
    () => {
      const reset = topicRead(group, topicId)
      const resets = resetsAfter(reset.resets, changes)
      const topics = group.record.topics.map((each) =>
        each === reset ? { ...each, resets } : each,
      )
      return setRecord(groups, group, { ...group.record, topics })
    },
    ({ applied }) => void applied(),
  )
  await groups.served.reached(version)
}

type Resets = NonNullable<TopicReading['resets']>

/** The latest reset of each partition; those that this one names get its number. */
function resetsAfter(before: Resets | undefined, changes: Changes): Resets {
  const generation = (before?.generation ?? 0) + 1
  const length = Math.max(before?.offsets.length ?? 0, ...[...changes.keys()].map((at) => at + 1))
  const partitions = Array.from({ length }, (_, at) => at as GrantRow['partition'])
  const offsets = partitions.map((at) => changes.get(at) ?? before?.offsets[at] ?? (0 as Offset))
  const generations = partitions.map((at) =>
    changes.has(at) ? generation : (before?.generations[at] ?? 0),
  )
  return { generation, offsets, generations }
}

interface Reset {
  readonly reading: Reading
  readonly changes: Changes
  readonly operator: string
}

interface ResetChange extends Change {
  readonly rows: ReadonlyMap<GrantRow, Member | undefined>
  readonly snapshot: ProgressSnapshot
}

async function writeReset(groups: Groups, group: Group, reset: Reset): Promise<void> {
  let taken: ProgressSnapshot | undefined
  try {
    await groups.leadership.write(
      () => {
        const change = prepareReset(group, reset)
        taken = change.snapshot
        return change
      },
      (change) => applyReset(groups, group, { ...reset, ...change }),
    )
  } catch (error) {
    if (taken !== undefined && error instanceof MqError) reset.reading.progress.failed(taken, error)
    throw error
  }
}

function prepareReset(group: Group, { reading, changes }: Reset): ResetChange {
  const { progress } = reading
  // Nobody read it any longer, and since then it is popped: that has no progress.
  const isPopped = group.topic(reading.topicId)?.mode === 'pop'
  if (group.isDeleted || progress.isGone || isPopped) throw notRead(group, `${reading.topicId}`)
  const rows = new Map<GrantRow, Member | undefined>()
  for (const partition of changes.keys()) {
    const row = reading.row(partition)
    if (row !== undefined) rows.set(row, row.state === 'held' ? row.owner : undefined)
  }
  const at = [...changes].map(([partition, offset]) => [partition, { offset, epoch: 0 }] as const)
  const snapshot = progress.snapshot(new Map(at))
  const { path, version } = progress
  const { value } = snapshot
  const written: RegistryOp =
    version === 0 ? { kind: 'create', path, value } : { kind: 'set', path, value, version }
  return { ops: [written, grantsOp(group, reading, rows)], rows, snapshot }
}

function applyReset(
  groups: Groups,
  group: Group,
  { reading, rows, snapshot, changes, operator }: Reset & ResetChange,
): void {
  const { nowMs } = groups
  reading.progress.stored(snapshot)
  reading.grantsVersion += 1
  const owners = new Set<Member>()
  for (const row of rows.keys()) {
    if (row.owner !== undefined) owners.add(row.owner)
    if (row.state === 'revoking') group.free(row, nowMs)
    renewRow(row, row.epoch + 1)
  }
  for (const owner of owners) owner.changed()
  for (const row of rows.keys()) recordReset(group, row, nowMs)
  for (const owner of owners) owner.waiters.wake()
  const topic = group.topic(reading.topicId)?.name ?? `${reading.topicId}`
  group.planTime.changed(resetTrigger(topic, { changes, operator }), nowMs)
  groups.work(group)
}

/** What the list of rebalances tells of a reset: who, and where to; of very many partitions the first ones. */
function resetTrigger(topic: string, { changes, operator }: Omit<Reset, 'reading'>): string {
  const places = Array.from(changes, ([partition, to]) => `${partition} to ${to}`).join(', ')
  const shown = places.length > 500 ? `${places.slice(0, 500)}…` : places
  return `reset of ${topic} by ${operator}: ${shown}`
}

/** A member that goes on elsewhere under a new epoch: a move from itself to itself. */
function recordReset(group: Group, row: GrantRow, nowMs: number): void {
  const { owner, partition, reading } = row
  if (owner === undefined) return
  const { id } = owner
  const move = { topicId: reading.topicId, partition, from: id, to: id, epoch: epochOf(row) }
  group.resetMoves.push(move)
  owner.unheard.push({ move, sinceMs: nowMs, version: owner.version })
}

function topicRead(group: Group, topicId: TopicId): TopicReading {
  const topic = group.topic(topicId)
  if (topic === undefined || group.isDeleted) throw notRead(group, `${topicId}`)
  return topic
}

/** The group's reading of a topic, or those of its static members in broadcast. */
function readingsToReset(
  group: Group,
  { topicId, mode }: TopicReading,
  partitions: number,
): Reading[] {
  const isShared = mode === 'pull'
  const there = [...group.readings.values()].filter(
    (reading) =>
      reading.topicId === topicId && reading.isKept && (reading.reader === undefined) === isShared,
  )
  if (there.length > 0 || !isShared) return there
  return [group.addReading({ topicId, reader: undefined, isKept: true, partitions })]
}

/** Runs `change` while nothing else writes the progress of these. */
export function alone<T>(
  groups: Groups,
  readings: readonly Reading[],
  change: () => Promise<T>,
): Promise<T> {
  const [first, ...rest] = readings
  if (first === undefined) return change()
  return groups.flush.exclusively(first.progress, () => alone(groups, rest, change))
}

export function notRead(group: Group, topic: string): MqError {
  return new MqError(
    'topic_not_found',
    `group ${quoted(group.record.name)} reads no topic ${topic}`,
  )
}
