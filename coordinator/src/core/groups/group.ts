import type { Clock } from '@popmq/kit'
import { type GroupId, type GroupPolicy, MqError, type TopicId } from '@popmq/protocol'
import { freeRow, type GrantRow, type RecordedMove } from './grant-row.ts'
import { type GroupRecord, groupPaths, type TopicReading } from './group-values.ts'
import { type Member, Members } from './members.ts'
import { PlanTime } from './plan-time.ts'
import { Progress } from './progress.ts'
import { Reading, readingKey } from './reading.ts'
import { Rebalances } from './rebalances.ts'

/**
 * A group: its members, what they read, and who holds what. Everything here is in memory; `group-grants.ts` writes what
 * must last before it is told. Time comes in as an argument.
 */
export class Group {
  readonly clock: Clock
  /** As the registry has it. */
  record: GroupRecord
  nodeVersion: number
  readonly members = new Members()
  readonly readings = new Map<string, Reading>()
  readonly rebalances = new Rebalances()
  readonly planTime = new PlanTime()
  /** Free partitions with a target: to be written, then told. */
  readonly toGrant = new Set<GrantRow>()
  readonly revoking = new Set<GrantRow>()
  /** New epochs that resets gave since the last plan: the next rebalance records them. */
  readonly resetMoves: RecordedMove[] = []
  /** Of the node with the members. */
  membersVersion = 1
  /** Counts changes of the members; those up to `membersWritten` are in the registry. */
  membersStamp = 0
  membersWritten = 0
  /** Its removal is being written: nobody comes in. */
  isDeleting = false
  isDeleted = false
  /** A broker that has applied this version knows which topics the group reads, and how. */
  subscribedVersion = 0
  /** A write of its topics is under way, or failed: who comes in takes his turn behind it, and sees what became of it. */
  isChanging = false
  /** What its deadlines wake: see `Groups`. */
  armedMs: number | undefined
  isWorking = false
  retryAtMs: number | undefined

  constructor(clock: Clock, { record, nodeVersion }: Pick<Group, 'record' | 'nodeVersion'>) {
    this.clock = clock
    this.record = record
    this.nodeVersion = nodeVersion
  }

  get id(): GroupId {
    return this.record.id
  }

  get policy(): GroupPolicy {
    return this.record.policy
  }

  topic(topicId: TopicId): TopicReading | undefined {
    return this.record.topics.find((topic) => topic.topicId === topicId)
  }

  /** When something is due if nothing is heard: a plan, the end of a session or of a drain. */
  get nextMs(): number {
    let nextMs = Math.min(this.retryAtMs ?? Number.POSITIVE_INFINITY, this.members.nextEndMs)
    // Whoever works on the group now looks for plans himself before he ends.
    if (!this.isWorking) nextMs = Math.min(nextMs, this.planTime.dueMs)
    for (const { drainEndsMs } of this.revoking) nextMs = Math.min(nextMs, drainEndsMs ?? nextMs)
    return nextMs
  }

  /** The reading through which this member reads the topic; made if it is new. */
  readingFor(member: Member, topicId: TopicId, partitions: number): Reading {
    const reader = member.mode === 'pull' ? undefined : (member.name ?? member.id)
    const isKept = member.mode === 'pull' || member.name !== undefined
    const there = this.readings.get(readingKey(topicId, reader))
    if (there !== undefined) {
      there.grow(partitions)
      return there
    }
    return this.addReading({ topicId, reader, isKept, partitions })
  }

  addReading({ topicId, reader, isKept, partitions }: NewReading): Reading {
    const name = reader === undefined ? { topicId } : { topicId, member: reader }
    const path = isKept ? groupPaths.progress(this.id, name) : ''
    const progress = new Progress(path)
    const reading = new Reading({ name, isKept, reader, progress, partitions })
    this.readings.set(readingKey(topicId, reader), reading)
    return reading
  }

  /** The row of a partition as this member would hold it. */
  rowFor(member: Member, topicId: TopicId, partition: number): GrantRow | undefined {
    return this.readingOf(member, topicId)?.row(partition)
  }

  readingOf(member: Member, topicId: TopicId): Reading | undefined {
    const reader = member.mode === 'pull' ? undefined : (member.name ?? member.id)
    return this.readings.get(readingKey(topicId, reader))
  }

  /** The member that alone may hold this reading's partitions, if it is there and reads the topic. */
  readerOf({ reader, isKept, topicId }: Reading): Member | undefined {
    if (reader === undefined) return undefined
    const member = isKept ? this.members.named(reader) : this.members.get(reader)
    return member?.mode === 'broadcast' && member.topics.has(topicId) ? member : undefined
  }

  /** A member has come; it takes over from the one that had its static name. */
  join(member: Member, nowMs: number): void {
    const before = member.name === undefined ? undefined : this.members.named(member.name)
    if (before !== undefined) this.#replace(before, member, nowMs)
    this.members.add(member)
    this.membersStamp += 1
    this.planTime.changed('member_joined', nowMs)
    if (before !== undefined) this.planTime.hurry(nowMs)
  }

  /** A member has gone: what it held is free. */
  end(member: Member, trigger: 'member_left' | 'session_over', nowMs: number): void {
    this.members.remove(member)
    // Whoever falls silent may have stopped reading at once.
    const heardMs = member.endsMs - this.policy.sessionMs
    const sinceMs = trigger === 'session_over' ? Math.min(heardMs, nowMs) : nowMs
    for (const row of [...member.rows]) this.free(row, sinceMs)
    for (const reading of [...this.readings.values()]) {
      if (!reading.isKept && reading.reader === member.id)
        this.readings.delete(readingKey(reading.topicId, member.id))
    }
    this.membersStamp += 1
    this.planTime.changed(trigger, nowMs)
  }

  /** Its owner has it no longer; its target gets it, if that is there. */
  free(row: GrantRow, nowMs: number): void {
    row.owner?.changed()
    freeRow(row, nowMs)
    this.revoking.delete(row)
    if (isGrantable(row)) this.toGrant.add(row)
  }

  /** Ends sessions and drains that are over. @returns the members that ended */
  expire(nowMs: number): Member[] {
    const over = this.members.over(nowMs)
    for (const member of over) this.end(member, 'session_over', nowMs)
    for (const row of [...this.revoking]) {
      if (row.drainEndsMs === undefined || row.drainEndsMs > nowMs) continue
      const { owner } = row
      this.free(row, nowMs)
      owner?.waiters.wake()
    }
    return over
  }

  /** A topic was deleted: nothing of it is held any longer. @returns its readings */
  dropTopic(topicId: TopicId, nowMs: number): Reading[] {
    const dropped = [...this.readings.values()].filter((reading) => reading.topicId === topicId)
    const touched = new Set<Member>()
    for (const reading of dropped) {
      for (const row of reading.rows) {
        row.target = undefined
        if (row.owner !== undefined) touched.add(row.owner)
        if (row.state !== 'free') this.free(row, nowMs)
        this.toGrant.delete(row)
      }
      this.readings.delete(readingKey(topicId, reading.reader))
      reading.progress.abandon(new MqError('topic_not_found', `topic ${topicId} was deleted`))
    }
    this.members.dropTopic(topicId)
    this.membersStamp += 1
    this.planTime.changed('topic_changed', nowMs)
    for (const member of touched) member.waiters.wake()
    return dropped
  }

  /** Whether a partition is between two members. */
  get isRebalancing(): boolean {
    return this.revoking.size > 0 || this.toGrant.size > 0 || this.planTime.isDue
  }

  /** What the one before held waits for nobody but the one who comes under its name. */
  #replace(before: Member, member: Member, nowMs: number): void {
    for (const row of [...this.toGrant, ...this.revoking])
      if (row.target === before) row.target = member
    this.members.remove(before)
    for (const row of [...before.rows]) {
      const keeps = row.state === 'held' && canHold(member, row.reading)
      if (keeps) row.target = member
      this.free(row, nowMs)
    }
  }
}

export interface NewReading {
  readonly topicId: TopicId
  readonly reader: string | undefined
  readonly isKept: boolean
  readonly partitions: number
}

/** Whether a free partition has a target that can take it. */
export function isGrantable({ state, target, reading }: GrantRow): boolean {
  return (
    state === 'free' &&
    target !== undefined &&
    target.state !== 'ended' &&
    reading.progress.isStarted &&
    canHold(target, reading)
  )
}

function canHold(member: Member, { reader, topicId }: Reading): boolean {
  if (!member.topics.has(topicId)) return false
  if (reader === undefined) return member.mode === 'pull'
  return member.mode === 'broadcast' && (reader === member.name || reader === member.id)
}
