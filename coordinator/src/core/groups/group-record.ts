import { assert } from '@popmq/kit'
import { type GroupId, groupId, MqError, quoted } from '@popmq/protocol'
import type { Change } from '../leadership.ts'
import { encodeValue } from '../registry-values.ts'
import { Group } from './group.ts'
import { groupPaths, type GroupRecord } from './group-values.ts'
import type { Groups } from './groups.ts'
import { Members } from './members.ts'

/** A write of a group's own node, and what makes it so in memory once it is done. */
export interface RecordChange extends Change {
  readonly applied: () => Group
}

/** Makes a group, with the places for what it will hold. */
export function makeGroup(groups: Groups, fields: Omit<GroupRecord, 'id'>): RecordChange {
  const id: GroupId = groupId(groups.leadership.counters.groupId + 1)
  const record: GroupRecord = { ...fields, id }
  const members = encodeValue(new Members().record(0))
  return {
    ops: [
      { kind: 'create', path: groupPaths.group(record.name), value: encodeRecord(record) },
      { kind: 'create', path: groupPaths.members(id), value: members },
      { kind: 'create', path: groupPaths.progressOf(id), value: new Uint8Array(0) },
    ],
    counters: { groupId: id },
    applied: () => {
      const group = new Group(groups.clock, { record, nodeVersion: 1 })
      groups.add(group)
      return group
    },
  }
}

export function setRecord(group: Group, record: GroupRecord): RecordChange {
  assert(!group.isDeleted, 'a group that was deleted is not set')
  const path = groupPaths.group(record.name)
  const value = encodeRecord(record)
  return {
    ops: [{ kind: 'set', path, value, version: group.nodeVersion }],
    applied: () => {
      group.record = record
      group.nodeVersion += 1
      return group
    },
  }
}

/** @throws MqError `group_too_large` */
function encodeRecord(record: GroupRecord): Uint8Array {
  const value = encodeValue(record)
  if (value.length <= mostRecordBytes) return value
  throw new MqError(
    'group_too_large',
    `the topics and tags of group ${quoted(record.name)} take ${value.length} bytes, at most ${mostRecordBytes} are possible`,
  )
}

const mostRecordBytes = 200 * 1_024
