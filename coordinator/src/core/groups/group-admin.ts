import {
  type GroupPolicy,
  type groupReset,
  type groupPause,
  type groupSet,
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
import { defaultGroupPolicy, groupPolicyOf } from './group-policy.ts'
import { makeGroup, setRecord } from './group-record.ts'
import { groupPaths, type TopicReading } from './group-values.ts'
import { groupNotFound, type Groups } from './groups.ts'
import type { Member } from './members.ts'
import type { ProgressSnapshot } from './progress.ts'
import type { Reading } from './reading.ts'
import { removalOf } from './topic-drop.ts'

/** Sets policy keys; makes the group if it is new. @throws MqError `invalid_config`, `invalid_name`, those of a write */
export async function setGroup(
  groups: Groups,
  { group: name, config }: RequestOf<typeof groupSet>,
): Promise<GroupPolicy> {
  const modules = groups.modules.keys()
  const known = groups.namedOrNew(name)
  groupPolicyOf(config, { policy: known?.policy ?? defaultGroupPolicy, modules })
  const { policy } = await groups.leadership.write(
    () => {
      const group = groups.namedOrNew(name)
      const base = group?.policy ?? defaultGroupPolicy
      const set = groupPolicyOf(config, { policy: base, modules: groups.modules.keys() })
      const change =
        group === undefined
          ? makeGroup(groups, { name, policy: set, topics: [] })
          : setRecord(group, { ...group.record, policy: set })
      return { ...change, policy: set }
    },
    ({ applied }) => {
      const group = applied()
      group.planTime.changed('policy_changed', groups.nowMs)
      groups.work(group)
    },
  )
  return policy
}

/** Pauses or resumes a topic or all of them, and tells whoever reads it. @throws MqError `group_not_found`, `topic_not_found` */
export async function pauseGroup(
  groups: Groups,
  { group: name, topic, isPaused }: RequestOf<typeof groupPause>,
): Promise<readonly TopicReading[]> {
  const touched = (group: Group): TopicReading[] => {
    const topics = group.record.topics.filter((each) => topic === undefined || each.name === topic)
    if (topics.length > 0 || topic === undefined) return topics
    throw notRead(group, quoted(topic))
  }
  touched(groups.named(name))
  const { group } = await groups.leadership.write(
    () => {
      const there = groups.named(name)
      const chosen = new Set(touched(there))
      const topics = there.record.topics.map((each) =>
        chosen.has(each) ? { ...each, isPaused } : each,
      )
      return { ...setRecord(there, { ...there.record, topics }), group: there }
    },
    ({ applied }) => {
      const there = applied()
      const ids = new Set(touched(there).map(({ topicId }) => topicId))
      for (const member of there.members) {
        if (![...member.topics].some((id) => ids.has(id))) continue
        member.changed()
        member.waiters.wake()
      }
    },
  )
  return touched(group)
}

/** Removes a group without members. @throws MqError `group_not_found`, `group_in_use`, those of a write */
export async function deleteGroup(groups: Groups, name: string): Promise<Group['id']> {
  const group = groups.named(name)
  refuseUsed(group)
  const readings = [...group.readings.values()].filter(({ isKept }) => isKept)
  try {
    await alone(groups, readings, () =>
      groups.leadership.write(
        () => prepareDelete(group),
        () => groups.remove(group),
      ),
    )
  } finally {
    group.isDeleting = false
  }
  return group.id
}

function prepareDelete(group: Group): Change {
  if (group.isDeleted) throw groupNotFound(group.record.name)
  refuseUsed(group)
  const { id, record, rebalances } = group
  const readings = [...group.readings.values()].filter(({ isKept }) => isKept)
  const ops: RegistryOp[] = [
    { kind: 'remove', path: groupPaths.group(record.name), version: group.nodeVersion },
    ...readings.flatMap((reading) => removalOf(group, reading)),
    { kind: 'remove', path: groupPaths.members(id) },
    { kind: 'remove', path: groupPaths.progressOf(id) },
  ]
  if (rebalances.nodeVersion > 0) ops.push({ kind: 'remove', path: groupPaths.rebalances(id) })
  // From here no member comes in: a join waits for this write, and makes the group again.
  group.isDeleting = true
  return { ops }
}

function refuseUsed(group: Group): void {
  if (group.members.size === 0) return
  throw new MqError(
    'group_in_use',
    `group ${quoted(group.record.name)} has ${group.members.size} members`,
    { facts: { members: group.members.size } },
  )
}

type Moves = ReplyOf<typeof groupReset>['moves']

/**
 * Sets progress of one topic, lower too. Each partition gets a new epoch with it, so what was granted before is void.
 * @throws MqError `group_not_found`, `topic_not_found`, `partition_not_found`, those of a write
 */
export async function resetGroup(
  groups: Groups,
  { group: name, topicId, offsets, dryRun, operator = 'somebody' }: RequestOf<typeof groupReset>,
): Promise<Moves> {
  const group = groups.named(name)
  const readings = readingsToReset(groups, group, topicId)
  const changes = new Map(offsets.map(({ partition, offset }) => [partition, offset]))
  const shared = readings.find(({ reader }) => reader === undefined)
  for (const partition of changes.keys()) {
    const partitions = groups.topic(group.topic(topicId)?.name ?? '')?.sets.length ?? 0
    if (partition >= partitions)
      throw new MqError('partition_not_found', `topic ${topicId} has ${partitions} partitions`)
  }
  const moves = [...changes].map(([partition, to]) => {
    const isKnown = shared?.progress.isStarted === true
    const from = isKnown ? { from: shared.progress.durableAt(partition) as Offset } : {}
    return { partition, ...from, to }
  })
  if (dryRun === true) return moves
  for (const reading of readings) {
    await alone(groups, [reading], () => writeReset(groups, group, { reading, changes, operator }))
  }
  return moves
}

interface Reset {
  readonly reading: Reading
  readonly changes: ReadonlyMap<GrantRow['partition'], Offset>
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
  if (group.isDeleted || progress.isGone) throw notRead(group, `${reading.topicId}`)
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

/** The group's reading of a topic, or those of its static members in broadcast. */
function readingsToReset(groups: Groups, group: Group, topicId: TopicId): Reading[] {
  const topic = group.topic(topicId)
  if (topic === undefined) throw notRead(group, `${topicId}`)
  const isShared = topic.mode === 'pull'
  const there = [...group.readings.values()].filter(
    (reading) =>
      reading.topicId === topicId && reading.isKept && (reading.reader === undefined) === isShared,
  )
  if (there.length > 0 || !isShared) return there
  const partitions = groups.topic(topic.name)?.sets.length ?? 0
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

function notRead(group: Group, topic: string): MqError {
  return new MqError(
    'topic_not_found',
    `group ${quoted(group.record.name)} reads no topic ${topic}`,
  )
}
