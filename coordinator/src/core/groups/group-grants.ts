import type { Change } from '../leadership.ts'
import { type RegistryOp, registryLimits } from '../registry-port.ts'
import { encodeValue } from '../registry-values.ts'
import { type GrantRow, grantRow } from './grant-row.ts'
import { type Group, isGrantable } from './group.ts'
import { encodeGrants, groupPaths } from './group-values.ts'
import type { Member } from './members.ts'
import type { Reading } from './reading.ts'

/** Grants that one registry commit makes, and what it writes beside them. */
export interface GrantsChange extends Change {
  readonly granted: readonly {
    readonly row: GrantRow
    readonly to: Member
    readonly epoch: number
  }[]
  readonly readings: readonly Reading[]
  /** Of the members that it writes; undefined when it does not write them. */
  readonly membersStamp: number | undefined
  readonly isWithRebalances: boolean
  /** What is left of the room. */
  readonly roomBytes: number
}

/** Whether there is something to write before it can be told. */
export function hasToWrite(group: Group): boolean {
  if (group.isDeleted) return false
  if (group.membersWritten !== group.membersStamp) return true
  for (const row of group.toGrant) if (isGrantable(row)) return true
  return false
}

/**
 * As many grants as fit into `roomBytes`: the members first, then reading by reading. Changes nothing.
 * @returns undefined when not even the members fit
 */
export function prepareGrants(group: Group, roomBytes: number): GrantsChange | undefined {
  const ops: RegistryOp[] = []
  let room = roomBytes
  const add = (op: RegistryOp & { readonly value: Uint8Array }): boolean => {
    const bytes = op.value.length + op.path.length + registryLimits.opBytes
    if (bytes > room) return false
    room -= bytes
    ops.push(op)
    return true
  }
  // Deleted while this write waited for its turn: its nodes are gone.
  if (group.isDeleted) return { ...nothing, roomBytes }
  const isWithMembers = group.membersWritten !== group.membersStamp
  if (isWithMembers) {
    const value = encodeValue(group.members.record(group.rebalances.count))
    const path = groupPaths.members(group.id)
    if (!add({ kind: 'set', path, value, version: group.membersVersion })) return undefined
  }
  const granted: { row: GrantRow; to: Member; epoch: number }[] = []
  const readings: Reading[] = []
  for (const [reading, rows] of rowsByReading(group)) {
    const isAdded = !reading.isKept || add(grantsOp(group, reading, new Map(rows)))
    if (!isAdded) continue
    if (reading.isKept) readings.push(reading)
    for (const [row, to] of rows) granted.push({ row, to, epoch: row.epoch + 1 })
  }
  const isWithRebalances = isWithMembers && add(rebalancesOp(group))
  const membersStamp = isWithMembers ? group.membersStamp : undefined
  return { ops, granted, readings, membersStamp, isWithRebalances, roomBytes: room }
}

const nothing: Omit<GrantsChange, 'roomBytes'> = {
  ops: [],
  granted: [],
  readings: [],
  membersStamp: undefined,
  isWithRebalances: false,
}

/** The commit is in the registry: the grants hold, and are told. */
export function applyGrants(
  group: Group,
  { granted, readings, membersStamp, isWithRebalances }: GrantsChange,
): void {
  if (membersStamp !== undefined) {
    group.membersVersion += 1
    group.membersWritten = membersStamp
  }
  if (isWithRebalances) group.rebalances.nodeVersion += 1
  for (const reading of readings) reading.grantsVersion += 1
  const touched = new Set<Member>()
  for (const { row, to, epoch } of granted) {
    const isStill = row.state === 'free' && row.target === to && isGrantable(row)
    if (!isStill || group.isDeleted) {
      // Its target has gone while this was written. The epoch is used up all the same.
      row.epoch = epoch
      continue
    }
    grantRow(row, to, epoch)
    group.toGrant.delete(row)
    touched.add(to)
  }
  for (const member of touched) member.changed()
  for (const { row, to, epoch } of granted) if (row.owner === to) completeMove(row, to, epoch)
  for (const member of touched) member.waiters.wake()
}

/** What the node of a reading holds once `rows` are granted. */
export function grantsOp(
  group: Group,
  reading: Reading,
  rows: ReadonlyMap<GrantRow, Member | undefined>,
): RegistryOp & { readonly value: Uint8Array } {
  const value = encodeGrants(
    reading.rows.map((row) => {
      const isChanged = rows.has(row)
      const member = isChanged ? rows.get(row) : row.owner
      return { epoch: row.epoch + (isChanged ? 1 : 0), member: member?.index ?? 0 }
    }),
  )
  const path = groupPaths.grants(group.id, reading.name)
  return reading.grantsVersion === 0
    ? { kind: 'create', path, value }
    : { kind: 'set', path, value, version: reading.grantsVersion }
}

function rebalancesOp(group: Group): RegistryOp & { readonly value: Uint8Array } {
  const { nodeVersion } = group.rebalances
  const path = groupPaths.rebalances(group.id)
  const value = group.rebalances.value()
  return nodeVersion === 0
    ? { kind: 'create', path, value }
    : { kind: 'set', path, value, version: nodeVersion }
}

/** From here the move only lacks that its member is heard to know of it. */
function completeMove(row: GrantRow, to: Member, epoch: number): void {
  const { move, darkSinceMs } = row
  row.move = undefined
  row.darkSinceMs = undefined
  if (move === undefined) return
  Object.assign(move, { epoch })
  if (move.from !== undefined && darkSinceMs !== undefined)
    to.unheard.push({ move, sinceMs: darkSinceMs, version: to.version })
}

function rowsByReading(group: Group): Map<Reading, [GrantRow, Member][]> {
  const byReading = new Map<Reading, [GrantRow, Member][]>()
  for (const row of group.toGrant) {
    if (!isGrantable(row) || row.target === undefined) {
      group.toGrant.delete(row)
      continue
    }
    const rows = byReading.get(row.reading)
    if (rows === undefined) byReading.set(row.reading, [[row, row.target]])
    else rows.push([row, row.target])
  }
  return byReading
}
