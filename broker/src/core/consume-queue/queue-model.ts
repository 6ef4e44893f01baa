import type { Offset, PartitionKey } from '@popmq/protocol'
import { RecordView, type TimeMs, type TopicId, topicOfKey } from '@popmq/protocol'
import type { Horizon } from './horizon.ts'
import type { SampleRecord } from './sample-log.ts'

export interface ModelQueue {
  /** The first readable offset. */
  readonly low: number
  /** Of every offset from 0 on, the copy of its record that counts. */
  readonly records: readonly SampleRecord[]
  /** Offsets that somebody has in hand. */
  readonly taken: ReadonlySet<number>
  /** Those that were in hand when a horizon passed them, and still are. */
  readonly kept: ReadonlySet<number>
}

interface ChangingQueue {
  low: number
  readonly records: SampleRecord[]
  readonly taken: Set<number>
  readonly kept: Set<number>
}

const nothing: ModelQueue = { low: 0, records: [], taken: new Set(), kept: new Set() }

/** For tests: consume queues as plain arrays, with every answer worked out in the plainest way. */
export class QueueModel {
  readonly #queues = new Map<PartitionKey, ChangingQueue>()
  /** Held records by number: the copy that counts. */
  readonly held = new Map<number, SampleRecord>()

  get(key: PartitionKey): ModelQueue {
    return this.#queues.get(key) ?? nothing
  }
  all(): [PartitionKey, ModelQueue][] {
    return [...this.#queues]
  }

  add(record: SampleRecord): void {
    const queue = this.#queues.get(record.key) ?? {
      low: 0,
      records: [],
      taken: new Set(),
      kept: new Set(),
    }
    this.#queues.set(record.key, queue)
    queue.records.push(record)
  }

  take(places: readonly Horizon[]): void {
    for (const { key, low } of places) this.#queues.get(key)?.taken.add(low)
  }

  settle(places: readonly Horizon[]): void {
    for (const { key, low } of places) {
      const queue = this.#queues.get(key)
      queue?.taken.delete(low)
      queue?.kept.delete(low)
      this.held.delete(low)
    }
  }

  raise(horizons: readonly Horizon[]): void {
    for (const { key, low } of horizons) {
      const queue = this.#queues.get(key)
      if (queue === undefined) continue
      for (const taken of queue.taken) if (taken >= queue.low && taken < low) queue.kept.add(taken)
      queue.low = Math.max(queue.low, low)
    }
  }

  moved(copy: SampleRecord): void {
    const at = offsetOf(copy)
    if (this.held.has(at)) this.held.set(at, copy)
    const queue = this.#queues.get(copy.key)
    if (queue !== undefined && isThere(queue, at)) queue.records[at] = copy
  }

  forget(topic: TopicId): void {
    for (const key of this.#queues.keys()) if (topicOfKey(key) === topic) this.#queues.delete(key)
  }

  isLive(record: SampleRecord): boolean {
    const at = offsetOf(record)
    const queue = this.get(record.key)
    return this.held.get(at) === record || (isThere(queue, at) && queue.records[at] === record)
  }

  keptBytes(key: PartitionKey): number {
    const { low, records } = this.get(key)
    return sumOf(records.slice(low))
  }

  /** Of all partitions, and of what is held, in the bytes [base, end) of the log. */
  liveBytes(base: number, end: number): number {
    const live = this.all().flatMap(([, queue]) =>
      queue.records.filter((_, at) => isThere(queue, at)),
    )
    const all = [...live, ...this.held.values()]
    return sumOf(all.filter(({ position }) => position >= base && position < end))
  }

  offsetAt(key: PartitionKey, timeMs: TimeMs): number {
    const { low, records } = this.get(key)
    const found = records.findIndex(
      ({ bytes }, at) => at >= low && new RecordView(bytes).appendedAt >= timeMs,
    )
    return found === -1 ? records.length : found
  }

  offsetKeeping(key: PartitionKey, maxBytes: number): number {
    const { low, records } = this.get(key)
    let kept = low
    while (sumOf(records.slice(kept)) > maxBytes) kept += 1
    return kept
  }
}

/** Whether the message can be read, by everybody or by who has it in hand. */
function isThere({ low, records, kept }: ModelQueue, at: number): boolean {
  return (at >= low && at < records.length) || kept.has(at)
}

function offsetOf({ bytes }: SampleRecord): Offset {
  return new RecordView(bytes).offset
}

function sumOf(records: readonly SampleRecord[]): number {
  return records.reduce((sum, { bytes }) => sum + bytes.length, 0)
}
