import type { Offset, PartitionKey } from '@popmq/protocol'
import { RecordView, type TimeMs, type TopicId, topicOfKey } from '@popmq/protocol'
import type { Horizon } from './horizon.ts'
import type { SampleRecord } from './sample-log.ts'

export interface ModelQueue {
  /** The first readable offset. */
  readonly low: number
  /** Of every offset from 0 on, the copy of its record that counts. */
  readonly records: readonly SampleRecord[]
}

const nothing: ModelQueue = { low: 0, records: [] }

/** For tests: consume queues as plain arrays, with every answer worked out in the plainest way. */
export class QueueModel {
  readonly #queues = new Map<PartitionKey, { low: number; readonly records: SampleRecord[] }>()

  get(key: PartitionKey): ModelQueue {
    return this.#queues.get(key) ?? nothing
  }
  all(): [PartitionKey, ModelQueue][] {
    return [...this.#queues]
  }

  add(record: SampleRecord): void {
    const queue = this.#queues.get(record.key) ?? { low: 0, records: [] }
    this.#queues.set(record.key, queue)
    queue.records.push(record)
  }

  raise(horizons: readonly Horizon[]): void {
    for (const { key, low } of horizons) {
      const queue = this.#queues.get(key)
      if (queue !== undefined) queue.low = Math.max(queue.low, low)
    }
  }

  moved(copy: SampleRecord): void {
    const queue = this.#queues.get(copy.key)
    const at = offsetOf(copy)
    if (queue !== undefined && at >= queue.low) queue.records[at] = copy
  }

  forget(topic: TopicId): void {
    for (const key of this.#queues.keys()) if (topicOfKey(key) === topic) this.#queues.delete(key)
  }

  isLive(record: SampleRecord): boolean {
    const { low, records } = this.get(record.key)
    return offsetOf(record) >= low && records[offsetOf(record)] === record
  }

  keptBytes(key: PartitionKey): number {
    const { low, records } = this.get(key)
    return sumOf(records.slice(low))
  }

  /** Of all partitions, in the bytes [base, end) of the log. */
  liveBytes(base: number, end: number): number {
    const live = this.all().flatMap(([, { low, records }]) => records.slice(low))
    return sumOf(live.filter(({ position }) => position >= base && position < end))
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

function offsetOf({ bytes }: SampleRecord): Offset {
  return new RecordView(bytes).offset
}

function sumOf(records: readonly SampleRecord[]): number {
  return records.reduce((sum, { bytes }) => sum + bytes.length, 0)
}
