import type { MessageBatch } from '@popmq/client'
import { Tally } from '../tally.ts'
import { LatencyHistogram } from './latency-histogram.ts'
import { type MeasuredFrom, readStampMs } from './stamp.ts'

export interface ExpectedArrivals {
  readonly messages: number
  readonly sizeBytes: number
  readonly partitions: number
  readonly measuredFrom: MeasuredFrom
}

/** What one consumer gets of one run: how long after its stamp each message came, and that all came once and in order. */
export class StampedArrivals {
  readonly #measuredFrom: MeasuredFrom
  readonly #tally: Tally
  readonly #latency = new LatencyHistogram()

  constructor(expected: ExpectedArrivals) {
    this.#measuredFrom = expected.measuredFrom
    this.#tally = new Tally(expected)
  }

  get count(): number {
    return this.#latency.count
  }

  get isComplete(): boolean {
    return this.#tally.isComplete
  }

  /** @throws MqError `corrupt_record` as `Tally.take` */
  take({ partitions }: Pick<MessageBatch, 'partitions'>, receivedMs: number): void {
    // Many were sent at one moment: to record each by itself would cost more than to receive it.
    let stampMs = receivedMs
    let count = 0
    for (const { partition, messages } of partitions) {
      for (const { bytes } of messages) {
        this.#tally.take(bytes, partition)
        const ms = readStampMs(bytes, this.#measuredFrom)
        if (ms !== stampMs && count > 0) {
          this.#latency.record(receivedMs - stampMs, count)
          count = 0
        }
        stampMs = ms
        count += 1
      }
    }
    if (count > 0) this.#latency.record(receivedMs - stampMs, count)
  }

  /** See `LatencyHistogram`. */
  encode(): string {
    return this.#latency.encode()
  }
}
