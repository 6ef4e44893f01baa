import {
  type GroupPolicy,
  type groupPause,
  type groupSet,
  MqError,
  quoted,
  type RequestOf,
} from '@popmq/protocol'
import type { Change } from '../leadership.ts'
import type { RegistryOp } from '../registry-port.ts'
import type { Group } from './group.ts'
import { defaultGroupPolicy, groupPolicyOf } from './group-policy.ts'
import { makeGroup, setRecord } from './group-record.ts'
import { alone, notRead } from './group-reset.ts'
import { groupPaths, type TopicReading } from './group-values.ts'
import { groupNotFound, type Groups } from './groups.ts'
import { removalOf } from './topic-drop.ts'

/** Each of these is done, and known to every broker with a session, when it resolves. */

/**
 * Sets policy keys; makes the group if it is new.
 * @throws MqError `invalid_config`, `invalid_name`, `timed_out`, those of a write
 */
export async function setGroup(
  groups: Groups,
  { group: name, config }: RequestOf<typeof groupSet>,
): Promise<GroupPolicy> {
  const modules = groups.modules.keys()
  const known = groups.namedOrNew(name)
  groupPolicyOf(config, { policy: known?.policy ?? defaultGroupPolicy, modules })
  const { policy, version } = await groups.leadership.write(
    () => {
      const group = groups.namedOrNew(name)
      const base = group?.policy ?? defaultGroupPolicy
      const set = groupPolicyOf(config, { policy: base, modules: groups.modules.keys() })
      const change =
        group === undefined
          ? makeGroup(groups, { name, policy: set, topics: [] })
          : setRecord(groups, group, { ...group.record, policy: set })
      return { ...change, policy: set }
    },
    ({ applied }) => {
      const group = applied()
      group.planTime.changed('policy_changed', groups.nowMs)
      groups.work(group)
    },
  )
  await groups.served.reached(version)
  return policy
}

/**
 * Pauses or resumes a topic or all of them, and tells whoever reads it.
 * @throws MqError `group_not_found`, `topic_not_found`, `timed_out`, those of a write
 */
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
  const { group, version } = await groups.leadership.write(
    () => {
      const there = groups.named(name)
      const chosen = new Set(touched(there))
      const topics = there.record.topics.map((each) =>
        chosen.has(each) ? { ...each, isPaused } : each,
      )
      return { ...setRecord(groups, there, { ...there.record, topics }), group: there }
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
  const topics = touched(group)
  await groups.served.reached(version)
  return topics
}

/**
 * Removes a group without members; whoever pops is none. Brokers forget it, its retries and its dead letters.
 * @throws MqError `group_not_found`, `group_in_use`, `timed_out`, those of a write
 */
export async function deleteGroup(groups: Groups, name: string): Promise<Group['id']> {
  const group = groups.named(name)
  refuseUsed(group)
  const readings = [...group.readings.values()].filter(({ isKept }) => isKept)
  const written = (): Promise<Deletion> =>
    groups.leadership.write(
      () => prepareDelete(groups, group),
      ({ version }) => {
        groups.remove(group)
        groups.served.changed(version)
      },
    )
  try {
    const { version } = await alone(groups, readings, written)
    await groups.served.reached(version)
  } finally {
    group.isDeleting = false
  }
  return group.id
}

interface Deletion extends Change {
  readonly version: number
}

function prepareDelete(groups: Groups, group: Group): Deletion {
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
  const version = groups.leadership.counters.version + 1
  return { ops, counters: { version }, version }
}

function refuseUsed(group: Group): void {
  if (group.members.size === 0) return
  throw new MqError(
    'group_in_use',
    `group ${quoted(group.record.name)} has ${group.members.size} members`,
    { facts: { members: group.members.size } },
  )
}
