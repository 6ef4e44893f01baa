import { assert } from '@popmq/kit'
import {
  type Check,
  type Checked,
  type Epoch,
  flag,
  type GroupId,
  groupModes,
  groupPolicy,
  limits,
  list,
  MqError,
  object,
  type Offset,
  oneOf,
  optional,
  readU64,
  rebalance,
  text,
  type TopicId,
  topicId,
  whole,
  writeU64,
} from '@popmq/protocol'
import type { RegistryNode } from '../registry-port.ts'

/**
 * What the coordinator keeps of groups in the registry.
 *    /groups/<name>                       JSON: a group, under its name in small letters
 *    /grants/<group id>                   JSON: the members, so that a new leader knows who reads what
 *    /grants/<group id>/<reading>         packed: by partition, who holds it and the last epoch given
 *    /progress/<group id>/<reading>       packed: by partition, the next offset to read
 *    /rebalances/<group id>               JSON: the latest rebalances
 * A reading is `<topic id>` where members share a topic, `<topic id>.<static name>` where each reads all of it.
 *
 * Packed values are little-endian: format u16 · 0 u16 · rows u32, then the rows.
 *    grants    0       4        8      epoch stays when nobody holds the partition; member 0: nobody
 *              | epoch | member |
 *    progress  0        8       12     16
 *              | offset | epoch | fold |
 */
export const groupPaths = {
  groups: '/groups',
  allGrants: '/grants',
  allProgress: '/progress',
  allRebalances: '/rebalances',
  group: (name: string): string => `/groups/${name.toLowerCase()}`,
  members: (id: GroupId): string => `/grants/${id}`,
  grants: (id: GroupId, reading: ReadingName): string => `/grants/${id}/${nodeName(reading)}`,
  progressOf: (id: GroupId): string => `/progress/${id}`,
  progress: (id: GroupId, reading: ReadingName): string => `/progress/${id}/${nodeName(reading)}`,
  rebalances: (id: GroupId): string => `/rebalances/${id}`,
} as const

/** Names what is read: a topic by the whole group, or by one static member for itself. */
export interface ReadingName {
  readonly topicId: TopicId
  readonly member?: string
}

export function nodeName({ topicId: id, member }: ReadingName): string {
  return member === undefined ? `${id}` : `${id}.${member}`
}

/** The reading whose node has this name. @throws MqError `data_directory_invalid` */
export function readingOfNode(path: string): ReadingName {
  const match = /\/(\d{1,10})(?:\.([^/]+))?$/.exec(path)
  if (match === null) throw unreadable(path)
  const [, id, member] = match
  return member === undefined
    ? { topicId: topicId(Number(id)) }
    : { topicId: topicId(Number(id)), member }
}

export const topicReading = object({
  name: text(limits.nameBytes, 1),
  topicId: whole<TopicId>(1, 0xffff_ffff),
  mode: oneOf(...groupModes),
  tags: optional(list(text(limits.tagBytes), 64)),
  isPaused: flag,
  /** Of a popped topic: where the group began, by partition; what is not in it began at its first message. */
  starts: optional(list(whole<Offset>(), limits.partitionsPerTopic)),
  /** By partition, where its last reset led and its number; number 0: it was never reset. */
  resets: optional(
    object({
      generation: whole(1, 0xffff_ffff),
      offsets: list(whole<Offset>(), limits.partitionsPerTopic),
      generations: list(whole(0, 0xffff_ffff), limits.partitionsPerTopic),
    }),
  ),
})
/** How the group reads a topic. */
export type TopicReading = Checked<typeof topicReading>

export const groupValue = object({
  name: text(limits.nameBytes, 1),
  id: whole<GroupId>(1, 0xffff_ffff),
  policy: groupPolicy,
  /** Given at its making from the ids of topics; 0 in what an earlier version wrote. */
  deadTopicId: laterTopicId(),
  topics: list(topicReading, 1_000),
})
export type GroupRecord = Checked<typeof groupValue>

function laterTopicId(): Check<TopicId> {
  const check = whole<TopicId>(1, 0xffff_ffff)
  return (value, path) => (value === undefined ? (0 as TopicId) : check(value, path))
}

const memberRecord = object({
  /** Its number in the rows of grants. */
  index: whole(1, 0xffff_ffff),
  id: text(64, 1),
  member: optional(text(limits.nameBytes)),
  client: optional(text(128)),
  mode: oneOf(...groupModes),
  drainMs: whole(),
  joinedAt: whole(),
  /** Which of `subscriptions` it has: most members have the same one. */
  subscription: whole(),
})
export type MemberRecord = Checked<typeof memberRecord>

export const membersValue = object({
  /** The highest index given: none is given twice. */
  lastIndex: whole(),
  /** How many rebalances there have been. */
  rebalances: whole(),
  subscriptions: list(list(whole<TopicId>(1, 0xffff_ffff), 1_000), 100_000),
  members: list(memberRecord, 100_000),
})
export type MembersRecord = Checked<typeof membersValue>

export const rebalancesValue = object({ rebalances: list(rebalance, 20) })

/** Who holds a partition: the member's index, 0 for nobody, and the last epoch given, 0 for none. */
export interface GrantRow {
  readonly epoch: number
  readonly member: number
}

export interface ProgressRow {
  readonly offset: number
  /** Of the grant under which it was committed; 0: the start or a reset. */
  readonly epoch: number
}

const format = 1
const headBytes = 8
const grantBytes = 8
const progressBytes = 16

export function encodeGrants(rows: readonly GrantRow[]): Uint8Array {
  const view = packed(rows.length, grantBytes)
  for (const [index, { epoch, member }] of rows.entries()) {
    view.setUint32(headBytes + index * grantBytes, epoch, true)
    view.setUint32(headBytes + index * grantBytes + 4, member, true)
  }
  return new Uint8Array(view.buffer)
}

/** @throws MqError `data_directory_invalid` naming the path */
export function decodeGrants(path: string, node: RegistryNode): GrantRow[] {
  const { view, rows } = unpacked(path, node, grantBytes)
  return Array.from({ length: rows }, (_, index) => {
    const at = headBytes + index * grantBytes
    return { epoch: view.getUint32(at, true) as Epoch, member: view.getUint32(at + 4, true) }
  })
}

export function encodeProgress(rows: readonly ProgressRow[]): Uint8Array {
  const view = packed(rows.length, progressBytes)
  for (const [index, { offset, epoch }] of rows.entries()) {
    const at = headBytes + index * progressBytes
    writeU64(view, at, offset)
    view.setUint32(at + 8, epoch, true)
    view.setUint32(at + 12, foldAt(view, at), true)
  }
  return new Uint8Array(view.buffer)
}

/** @throws MqError `data_directory_invalid` naming the path */
export function decodeProgress(path: string, node: RegistryNode): ProgressRow[] {
  const { view, rows } = unpacked(path, node, progressBytes)
  return Array.from({ length: rows }, (_, index) => {
    const at = headBytes + index * progressBytes
    if (view.getUint32(at + 12, true) !== foldAt(view, at)) throw unreadable(path)
    return { offset: readU64(view, at) as Offset, epoch: view.getUint32(at + 8, true) }
  })
}

function packed(rows: number, rowBytes: number): DataView {
  assert(rows <= limits.partitionsPerTopic, 'a topic has at most 1,024 partitions')
  const view = new DataView(new ArrayBuffer(headBytes + rows * rowBytes))
  view.setUint16(0, format, true)
  view.setUint32(4, rows, true)
  return view
}

function unpacked(
  path: string,
  { value }: RegistryNode,
  rowBytes: number,
): { readonly view: DataView; readonly rows: number } {
  const view = new DataView(value.buffer, value.byteOffset, value.byteLength)
  if (value.length < headBytes || view.getUint16(0, true) !== format) throw unreadable(path)
  const rows = view.getUint32(4, true)
  if (rows > limits.partitionsPerTopic || value.length !== headBytes + rows * rowBytes)
    throw unreadable(path)
  return { view, rows }
}

/** A row of zeroes does not fold to zero, so that a hole in the value shows. */
function foldAt(view: DataView, at: number): number {
  let fold = 0x9e37_79b1
  for (const word of [at, at + 4, at + 8]) {
    fold = Math.imul(fold ^ view.getUint32(word, true), 0x85eb_ca6b)
    fold ^= fold >>> 15
  }
  return fold >>> 0
}

function unreadable(path: string): MqError {
  return new MqError(
    'data_directory_invalid',
    `the registry holds at ${path} what this version cannot read`,
  )
}
