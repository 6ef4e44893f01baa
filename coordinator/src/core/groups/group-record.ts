import { assert } from '@popmq/kit'
import { type GroupId, groupId, MqError, quoted, topicId } from '@popmq/protocol'
import type { Change } from '../leadership.ts'
import { encodeValue } from '../registry-values.ts'
import { Group } from './group.ts'
import { groupPaths, type GroupRecord } from './group-values.ts'
import type { Groups } from './groups.ts'
import { Members } from './members.ts'

/** A write of a group's own node, and what makes it so in memory once it is done. */
export interface RecordChange extends Change {
  readonly applied: () => Group
  /** A broker that has applied it, or a later one, knows the group so. */
  readonly version: number
}

/** Makes a group, with the places for what it will hold and a topic id for its dead letters. */
export function makeGroup(
  groups: Groups,
  fields: Omit<GroupRecord, 'id' | 'deadTopicId'>,
): RecordChange {
  const { counters } = groups.leadership
  const id: GroupId = groupId(counters.groupId + 1)
  const deadTopicId = topicId(counters.topicId + 1)
  const version = counters.version + 1
  const record: GroupRecord = { ...fields, id, deadTopicId }
  const members = encodeValue(new Members().record(0))
  return {
    ops: [
      { kind: 'create', path: groupPaths.group(record.name), value: encodeRecord(record) },
      { kind: 'create', path: groupPaths.members(id), value: members },
      { kind: 'create', path: groupPaths.progressOf(id), value: new Uint8Array(0) },
    ],
    counters: { groupId: id, topicId: deadTopicId, version },
    version,
    applied: () => {
      const group = new Group(groups.clock, { record, nodeVersion: 1 })
      group.subscribedVersion = version
      groups.add(group)
      groups.served.changed(version)
      return group
    },
  }
}

export function setRecord(groups: Groups, group: Group, record: GroupRecord): RecordChange {
  assert(!group.isDeleted, 'a group that was deleted is not set')
  const path = groupPaths.group(record.name)
  const value = encodeRecord(record)
  const version = groups.leadership.counters.version + 1
  return {
    ops: [{ kind: 'set', path, value, version: group.nodeVersion }],
    counters: { version },
    version,
    applied: () => {
      group.record = record
      group.nodeVersion += 1
      groups.served.changed(version)
      return group
    },
  }
}

/** The group with these topics; nothing is written when it has them: whoever waited for the same was served with the first. */
export function setTopics(
  groups: Groups,
  group: Group,
  topics: GroupRecord['topics'],
): RecordChange {
  const settled = (version: number): Group => {
    group.isChanging = false
    group.subscribedVersion = version
    return group
  }
  if (topics === group.record.topics) {
    const version = group.subscribedVersion
    return { ops: [], version, applied: () => settled(version) }
  }
  const change = setRecord(groups, group, { ...group.record, topics })
  group.isChanging = true
  return {
    ...change,
    applied: () => {
      change.applied()
      return settled(change.version)
    },
  }
}

/** A group that an earlier version made gets a topic id for its dead letters. @throws MqError as `Leadership.write` */
export async function giveDeadTopic(groups: Groups, group: Group): Promise<void> {
  if (group.record.deadTopicId !== 0) return
  await groups.leadership.write(
    () => {
      const deadTopicId = topicId(groups.leadership.counters.topicId + 1)
      const change = setRecord(groups, group, { ...group.record, deadTopicId })
      return { ...change, counters: { ...change.counters, topicId: deadTopicId } }
    },
    ({ applied }) => void applied(),
  )
}

/** @throws MqError `group_too_large` */
function encodeRecord(record: GroupRecord): Uint8Array {
  const value = encodeValue(record)
  if (value.length <= mostRecordBytes) return value
  throw new MqError(
    'group_too_large',
    `the topics, tags, starts and resets of group ${quoted(record.name)} take ${value.length} bytes, at most ${mostRecordBytes} are possible`,
  )
}

const mostRecordBytes = 200 * 1_024
