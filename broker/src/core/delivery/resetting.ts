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
 * Carries out resets that the coordinator tells of, one record for each partition. Nothing of it is handed out from the
 * moment that it is counted what the group has passed by until the record is applied.
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
      last = await this.#reset(group, key, { to, generation, tags: topic.tags })
    }
    if (last !== undefined) await this.#parts.log.whenDone(last)
  }

  async #reset(group: GroupDispatch, key: PartitionKey, asked: Asked): Promise<LogPosition> {
    const { log, view } = this.#parts
    const partition = group.partition(key)
    partition.isResetting = true
    try {
      // What is being moved ends before: its copy would be of a message that is handed out anew.
      await Promise.all([...partition.book.settlements(), ...group.retries.book.settlements()])
      const to = this.#within(key, asked.to)
      const skippedBelow = await this.#skippedBelow(partition, view(group.id, key), {
        ...asked,
        to,
      })
      const { generation } = asked
      const body = encodeReset({ groupId: group.id, key, generation, to, skippedBelow })
      const end = log.appendControl({ kind: 'reset', body })
      const done = deferred<boolean>()
      const { book } = partition
      const numbers = this.#reopened(group, partition, to)
      const settlement = book.settle(numbers, done.promise)
      const retries = this.#voidedRetries(group, key, to)
      const voided = group.retries.book.settle(retries, done.promise)
      log.until(end, () => {
        settlement.applied()
        voided.applied()
        done.resolve(true)
        partition.wasReset()
        group.ready(key)
      })
      return end
    } catch (error) {
      partition.isResetting = false
      throw error
    }
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

  /** How many offsets below `to` the group will have passed by: what was filtered from there on was counted too. */
  async #skippedBelow(
    { key, cursor }: PartitionDispatch,
    view: PoppedPartition | undefined,
    { to, tags }: Asked,
  ): Promise<number> {
    const skipped = view?.skipped ?? 0
    if (to >= cursor) return skipped + (to - (view?.next ?? 0))
    const filtered =
      tags === undefined ? 0 : await this.#filtered(key, { from: to, to: cursor, tags })
    return Math.min(to, Math.max(0, skipped - filtered))
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
