import { type Epoch, limits, type Move } from '@popmq/protocol'
import type { Assigned } from './assignor-choice.ts'
import type { AssignorInput, Placement } from './assignors/assignor.ts'
import { type GrantRow, type RecordedMove, revokeRow } from './grant-row.ts'
import { type Group, isGrantable } from './group.ts'
import { type Member, ownerOf } from './members.ts'
import type { Reading } from './reading.ts'

/**
 * What an assignor is given: the topics that members share and whose progress has begun. A partition on its way counts
 * as its target's: so a plan that follows soon does not ask for it once more.
 */
export function assignorInput(group: Group): AssignorInput {
  const shared = sharedReadings(group)
  const members = group.members.byAge().filter(({ mode }) => mode === 'pull')
  const held = shared.flatMap(({ topicId, rows }) =>
    rows.flatMap((row): Placement[] => {
      const memberId = holderOf(row)?.id
      return memberId === undefined ? [] : [{ topicId, partition: row.partition, memberId }]
    }),
  )
  return {
    members: members.map(({ id, name, client, topics }) => ({
      memberId: id,
      ...(name === undefined ? {} : { member: name }),
      ...(client === undefined ? {} : { client }),
      topics: [...topics],
    })),
    topics: shared.map(({ topicId, rows }) => ({ topicId, partitions: rows.length })),
    held,
  }
}

export interface PlanFacts extends Assigned {
  readonly triggers: readonly string[]
  /** Wall time, for people. */
  readonly at: number
}

/** Takes up a plan: asks for what is to move, marks what is to be granted, records both, and tells whoever is touched. */
export function applyPlan(group: Group, facts: PlanFacts): void {
  const wanted = wantedOwners(group, facts.placements)
  const moves: RecordedMove[] = group.resetMoves.splice(0)
  const touched = new Set<Member>()
  let partitions = 0
  for (const reading of group.readings.values()) {
    if (!isActive(group, reading)) continue
    partitions += reading.rows.length
    for (const row of reading.rows) {
      const target = reading.reader === undefined ? wanted.get(row) : group.readerOf(reading)
      const from = row.owner?.id ?? row.lastOwner
      // A module takes its time: whom it chose may have gone, and that has led to a further plan. Till then all stays.
      const isKept = row.state === 'held' && (target === undefined || target === row.owner)
      if (isKept) continue
      if (row.state === 'held') {
        const owner = ownerOf(row)
        owner.changed()
        touched.add(owner)
        revokeRow(row, target)
        group.revoking.add(row)
      } else if (!retarget(group, row, target)) continue
      row.move = moveOf(row, from, target)
      if (row.move !== undefined) moves.push(row.move)
      if (row.state === 'free' && target === undefined) forget(row)
    }
  }
  record(group, facts, { moves, partitions })
  for (const member of touched) member.waiters.wake()
}

/** A partition on its way gets another target. @returns whether that is to be recorded as a move */
function retarget(group: Group, row: GrantRow, target: Member | undefined): boolean {
  const isSame = row.target === target && (row.move?.to === target?.id || target === undefined)
  row.target = target
  if (isGrantable(row)) group.toGrant.add(row)
  else group.toGrant.delete(row)
  if (target === undefined && row.lastOwner === undefined && row.owner === undefined) return false
  return !isSame || (target === undefined && row.lastOwner !== undefined)
}

/** Nobody reads it any longer: that is over and recorded. */
function forget(row: GrantRow): void {
  row.lastOwner = undefined
  row.darkSinceMs = undefined
  row.move = undefined
}

function moveOf(
  row: GrantRow,
  from: string | undefined,
  to: Member | undefined,
): RecordedMove | undefined {
  if (from === undefined && to === undefined) return undefined
  const epoch = (to === undefined ? Math.max(1, row.epoch) : row.epoch + 1) as Epoch
  const move: Move = {
    topicId: row.reading.topicId,
    partition: row.partition,
    ...(from === undefined ? {} : { from }),
    ...(to === undefined ? {} : { to: to.id }),
    epoch,
  }
  return { ...move }
}

function record(
  group: Group,
  { triggers, at, fallback }: PlanFacts,
  { moves, partitions }: { moves: readonly RecordedMove[]; partitions: number },
): void {
  group.rebalances.record({
    at,
    triggers,
    assignor: group.policy.assignor,
    ...(fallback === undefined ? {} : { fallback }),
    members: group.members.size,
    partitions,
    moves: moves.slice(0, limits.partitionsPerGroup),
  })
  group.membersStamp += 1
}

function wantedOwners(group: Group, placements: readonly Placement[]): Map<GrantRow, Member> {
  const wanted = new Map<GrantRow, Member>()
  const byTopic = new Map(sharedReadings(group).map((reading) => [reading.topicId, reading]))
  for (const { topicId, partition, memberId } of placements) {
    const row = byTopic.get(topicId)?.row(partition)
    const member = group.members.get(memberId)
    if (row !== undefined && member !== undefined) wanted.set(row, member)
  }
  return wanted
}

/** Readings of the way in which the group reads the topic now. */
function isActive(group: Group, { topicId, reader, progress }: Reading): boolean {
  const isShared = group.topic(topicId)?.mode === 'pull'
  return progress.isStarted && isShared === (reader === undefined)
}

function sharedReadings(group: Group): Reading[] {
  return [...group.readings.values()]
    .filter((reading) => reading.reader === undefined && isActive(group, reading))
    .toSorted((a, b) => a.topicId - b.topicId)
}

/** Who has a partition or is to get it; the owner again when the target has gone. */
function holderOf({ state, owner, target }: GrantRow): Member | undefined {
  if (state === 'held') return owner
  return target !== undefined && target.state !== 'ended' ? target : owner
}
