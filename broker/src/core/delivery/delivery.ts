import {
  type GroupId,
  isHeldNumber,
  marks,
  type Offset,
  offset,
  partitionKey,
  type PartitionKey,
  recordKinds,
  type RecordView,
  sourceOf,
  type TopicId,
  topicOfKey,
} from '@popmq/protocol'
import { present } from '@popmq/kit'
import { decodeHorizon } from '../consume-queue/index.ts'
import type { LiveBytes } from '../consume-queue/live-bytes.ts'
import { decodeHoldChanges } from '../holds/hold-change.ts'
import { decodeLeased } from './leased-record.ts'
import { PoppedPartition } from './popped-partition.ts'
import { decodeGroupGone, decodeReset, type ResetRecord } from './reset-record.ts'
import { Retries } from './retries.ts'
import { decodeSettled, type SettledRun } from './settled-record.ts'

export interface DeliveryParts {
  readonly live: Pick<LiveBytes, 'add' | 'numberAt'>
  /** A message below the horizon that no group has in hand any more need not be kept. */
  readonly letGo: (key: PartitionKey, offset: Offset) => void
  /** The horizon of a partition as of the record that is applied. */
  readonly low: (key: PartitionKey) => Offset
}

/**
 * Where the messages of every group are: a view. What it knows is a snapshot together with the records after it; it
 * changes only by `apply`, with committed records in their order. What the leader intends stands beside it, in
 * `Dispatch`.
 */
export class Delivery {
  readonly retries: Retries
  readonly #letGo: DeliveryParts['letGo']
  readonly #low: DeliveryParts['low']
  readonly #byKey = new Map<PartitionKey, PoppedPartition[]>()

  constructor({ live, letGo, low }: DeliveryParts) {
    this.retries = new Retries(live)
    this.#letGo = letGo
    this.#low = low
  }

  /** What a group has done with a partition; undefined while it has done nothing. */
  find(group: GroupId, key: PartitionKey): PoppedPartition | undefined {
    return this.#byKey.get(key)?.find(({ groupId }) => groupId === group)
  }

  partitions(): IterableIterator<PoppedPartition> {
    return [...this.#byKey.values()].flat().values()
  }

  /** The groups of which it knows anything. */
  groups(): Set<GroupId> {
    const groups = new Set<GroupId>()
    for (const { groupId } of this.partitions()) groups.add(groupId)
    for (const { groupId } of this.retries.all()) groups.add(groupId)
    return groups
  }

  /** The offsets below `low` that a group has in hand, ascending: they stay readable when all others go. */
  heldBelow(key: PartitionKey, low: Offset): Offset[] {
    const held = new Set<Offset>()
    for (const { open } of this.#byKey.get(key) ?? [])
      for (const number of open.keys()) {
        if (number >= low) break
        held.add(number)
      }
    return [...held].toSorted((a, b) => a - b)
  }

  /** Takes in the next committed record. */
  apply(record: RecordView): void {
    const { kind } = record
    switch (kind) {
      case recordKinds.message:
        return
      case recordKinds.leased:
        return this.#applyLeased(record)
      case recordKinds.settled:
        return this.#applySettled(record)
      case recordKinds.retry:
      case recordKinds.dead:
        return this.#applyCopy(record)
      case recordKinds.hold_changed:
        for (const change of decodeHoldChanges(record.body)) this.retries.change(change)
        return
      case recordKinds.horizon:
        return this.#applyHorizon(record)
      case recordKinds.reset:
        return this.#applyReset(decodeReset(record.body))
      case recordKinds.group_gone:
        return this.#forgetGroup(decodeGroupGone(record.body))
      case recordKinds.topic_gone:
        return this.#forgetTopic(record.topicId)
      default:
        return
    }
  }

  /** Takes in a partition of a snapshot. */
  restore(partition: PoppedPartition): void {
    const there = this.#byKey.get(partition.key)
    if (there === undefined) this.#byKey.set(partition.key, [partition])
    else there.push(partition)
  }

  #applyLeased(record: RecordView): void {
    const leased = decodeLeased(record.body)
    for (const run of leased.runs) {
      const [first] = run.numbers
      if (first !== undefined && isHeldNumber(first)) this.retries.lease(run, leased)
      else this.#partition(leased.groupId, run.key).lease(run, leased)
    }
  }

  #applySettled(record: RecordView): void {
    const { groupId, runs } = decodeSettled(record.body)
    for (const run of runs) this.#settle(groupId, run)
  }

  /** A copy takes the place of what it settles. */
  #applyCopy(record: RecordView): void {
    if ((record.marks & marks.moved) !== 0) {
      if (record.kind === recordKinds.retry) this.retries.move(record)
      return
    }
    const from = present(sourceOf(record), 'a copy names its source')
    const key = partitionKey(from.topicId, from.partition)
    const { groupId, generation, settles: number } = from
    this.#settle(groupId, { key, generation, numbers: [number] })
    if (record.kind === recordKinds.retry) this.retries.add(record)
  }

  #settle(groupId: GroupId, { key, generation, numbers }: SettledRun): void {
    const [first] = numbers
    if (first !== undefined && isHeldNumber(first)) {
      for (const number of numbers) this.retries.remove(number)
      return
    }
    const partition = this.#partition(groupId, key)
    // A reset came between: the messages are to be handed out again.
    if (partition.generation !== generation) return
    for (const number of numbers)
      if (partition.settle(offset(number))) this.#letGoOf(key, offset(number))
  }

  #applyHorizon(record: RecordView): void {
    for (const { key, low } of decodeHorizon(record.body)) {
      for (const partition of this.#byKey.get(key) ?? []) partition.horizon(low)
    }
  }

  #applyReset(reset: ResetRecord): void {
    const { groupId, key, to, generation } = reset
    const partition = this.#partition(groupId, key)
    if (generation <= partition.generation) return
    const open = [...partition.open.keys()]
    partition.reset(reset)
    this.retries.reset(groupId, key, to)
    for (const number of open) if (number >= to) this.#letGoOf(key, number)
  }

  #forgetGroup(group: GroupId): void {
    for (const partition of [...this.partitions()])
      if (partition.groupId === group) this.#drop(partition)
    this.retries.forget(({ groupId }) => groupId === group)
  }

  #forgetTopic(topic: TopicId): void {
    for (const [key, partitions] of [...this.#byKey]) {
      if (topicOfKey(key) !== topic) continue
      this.#byKey.delete(key)
      for (const partition of partitions) partition.isForgotten = true
    }
    this.retries.forget(({ key }) => topicOfKey(key) === topic)
  }

  #drop(partition: PoppedPartition): void {
    const { key, open } = partition
    partition.isForgotten = true
    const others = this.#byKey.get(key)?.filter((other) => other !== partition) ?? []
    if (others.length === 0) this.#byKey.delete(key)
    else this.#byKey.set(key, others)
    for (const number of open.keys()) this.#letGoOf(key, number)
  }

  #letGoOf(key: PartitionKey, number: Offset): void {
    const isHeld = this.#byKey.get(key)?.some(({ open }) => open.has(number)) ?? false
    if (!isHeld) this.#letGo(key, number)
  }

  #partition(group: GroupId, key: PartitionKey): PoppedPartition {
    const there = this.find(group, key)
    if (there !== undefined) return there
    const made = new PoppedPartition(group, key)
    // What went before the group did anything was passed by.
    made.horizon(this.#low(key))
    this.restore(made)
    return made
  }
}
