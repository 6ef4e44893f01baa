import { deferred } from '@popmq/kit'
import {
  type GroupId,
  type LogPosition,
  type Offset,
  offset,
  type PartitionKey,
  partitionKey,
  type ServedTopic,
  tagHash,
} from '@popmq/protocol'
import { type EntryRange, EntryView } from '../consume-queue/index.ts'
import type { DeliveryLog } from './delivery-log.ts'
import type { GroupDispatch } from './group-dispatch.ts'
import type { PartitionDispatch } from './partition-dispatch.ts'
import type { PoppedPartition } from './popped-partition.ts'
import { encodeReset } from './reset-record.ts'

export interface ResettingParts {
  readonly log: Pick<DeliveryLog, 'appendControl' | 'whenDone' | 'until'>
  readonly isLed: (key: PartitionKey) => boolean
  readonly view: (group: GroupId, key: PartitionKey) => PoppedPartition | undefined
  readonly bounds: (key: PartitionKey) => { readonly low: Offset; readonly high: Offset }
  readonly slice: (key: PartitionKey, from: Offset) => Promise<EntryRange>
}

/**
 * Carries out resets that the coordinator tells of, one record for each partition. From its begin until the record is
 * applied nothing of the partition is handed out, and nothing of the group is settled: a record of the old generation
 * behind that of the reset would count for nothing.
 */
export class Resetting {
  readonly #parts: ResettingParts
  readonly #entry = new EntryView()

  constructor(parts: ResettingParts) {
    this.#parts = parts
  }

  /** Resolves when all that is not done yet is durable and applied. @throws MqError when the log takes nothing now */
  async carryOut(group: GroupDispatch, topic: ServedTopic): Promise<void> {
    let last: LogPosition | undefined
    for (const { partition, offset: to, generation } of topic.reset?.offsets ?? []) {
      const key = partitionKey(topic.topicId, partition)
      const known = this.#parts.view(group.id, key)?.generation ?? 0
      if (generation <= known || !this.#parts.isLed(key)) continue
      last = (await this.#reset(group, key, { to, generation, tags: topic.tags })) ?? last
    }
    if (last !== undefined) await this.#parts.log.whenDone(last)
  }

  /** @returns undefined when it was done meanwhile */
  async #reset(
    group: GroupDispatch,
    key: PartitionKey,
    asked: Asked,
  ): Promise<LogPosition | undefined> {
    // One at a time: a list that is told again asks for the same ones.
    for (let over = group.resetOver(key); over; over = group.resetOver(key)) await over
    const partition = group.partition(key)
    if (asked.generation <= partition.generation) return undefined
    const isOver = group.beginReset(key)
    partition.isResetting = true
    try {
      // What is being moved ends before: its copy would be of a message that is handed out anew.
      await Promise.all([...partition.book.settlements(), ...settlementsOf(group, key)])
      const to = this.#within(key, asked.to)
      const skippedBelow = await this.#skippedBelow(group.id, key, { ...asked, to })
      const { generation } = asked
      const body = encodeReset({ groupId: group.id, key, generation, to, skippedBelow })
      const end = this.#parts.log.appendControl({ kind: 'reset', body })
      this.#reopen(group, partition, { to, end, isOver })
      return end
    } catch (error) {
      partition.isResetting = false
      isOver()
      throw error
    }
  }

  /** What the group will be handed again is withheld until the record is applied, and then begins anew. */
  #reopen(
    group: GroupDispatch,
    partition: PartitionDispatch,
    { to, end, isOver }: Reopening,
  ): void {
    const { book, key } = partition
    const done = deferred<boolean>()
    const reopened = book.settle(this.#reopened(group, partition, to), done.promise)
    const voided = group.retries.book.settle(this.#voidedRetries(group, key, to), done.promise)
    this.#parts.log.until(end, () => {
      reopened.applied()
      voided.applied()
      done.resolve(true)
      partition.wasReset()
      isOver()
      group.ready(key)
      group.passOn()
    })
  }

  #within(key: PartitionKey, to: Offset): Offset {
    const { low, high } = this.#parts.bounds(key)
    return offset(Math.min(Math.max(to, low), high))
  }

  /** Messages in hand, or free, that are to be handed out anew. */
  #reopened({ id }: GroupDispatch, { book, key }: PartitionDispatch, to: Offset): number[] {
    const numbers = new Set<number>([
      ...book.known(),
      ...(this.#parts.view(id, key)?.open.keys() ?? []),
    ])
    return [...numbers].filter((number) => number >= to && !book.isSettling(number))
  }

  #voidedRetries(group: GroupDispatch, key: PartitionKey, to: Offset): number[] {
    return [...group.retries.all()]
      .filter((retry) => retry.key === key && retry.offset >= to)
      .map(({ number }) => number)
      .filter((number) => !group.retries.book.isSettling(number))
  }

  /** How many offsets below `to` the group has passed by: what a filter passed behind it was counted too. */
  async #skippedBelow(group: GroupId, key: PartitionKey, { to, tags }: Asked): Promise<number> {
    const { next: told = 0, skipped: known = 0 } = this.#parts.view(group, key) ?? {}
    const next = Math.max(told, this.#parts.bounds(key).low)
    const skipped = known + next - told
    const span = { from: offset(Math.min(to, next)), to: Math.max(to, next) }
    const filtered = tags === undefined ? 0 : await this.#filtered(key, { ...span, tags })
    return to < next ? Math.min(to, Math.max(0, skipped - filtered)) : skipped + filtered
  }

  async #filtered(key: PartitionKey, { from, to, tags }: Span): Promise<number> {
    const wants = new Set(tags.map(tagHash))
    let filtered = 0
    for (let at = from; at < to;) {
      const entries = await this.#parts.slice(key, at)
      if (entries.count === 0) return filtered
      for (let index = 0; index < entries.count && entries.from + index < to; index += 1)
        if (!wants.has(entries.entry(index, this.#entry).tagHash)) filtered += 1
      at = entries.end
    }
    return filtered
  }
}

/** Those of the retries that come from the partition. */
function settlementsOf({ retries }: GroupDispatch, key: PartitionKey): Promise<boolean>[] {
  const own = [...retries.all()].filter((retry) => retry.key === key)
  return own.flatMap(({ number }) => retries.book.settlement(number) ?? [])
}

interface Reopening {
  readonly to: Offset
  readonly end: LogPosition
  readonly isOver: () => void
}

interface Asked {
  readonly to: Offset
  readonly generation: number
  readonly tags: readonly string[] | undefined
}

interface Span {
  readonly from: Offset
  readonly to: number
  readonly tags: readonly string[]
}
