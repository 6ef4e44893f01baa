import { MqError } from '@popmq/client'
import { LatencyHistogram, type TailLatency } from '../latency-at-rate/latency-histogram.ts'
import { Schedule } from '../latency-at-rate/schedule.ts'
import type { LiveAsked, LivePace, LiveSpan } from './live-sides.ts'

const firstRoom = 65_536
/** At most 256 MiB of times. */
const mostNumbers = 33_554_432

/** When each message of live traffic came, by its number. */
export class LiveArrivals {
  #cameMs = new Float64Array(firstRoom).fill(NaN)

  /** @throws MqError `corrupt_record` for one that came before */
  take(number: number, nowMs: number): void {
    if (number >= this.#cameMs.length) this.#grow(number)
    if (!Number.isNaN(this.#cameMs[number]))
      throw new MqError('corrupt_record', `live message ${number} came twice`)
    this.#cameMs[number] = nowMs
  }

  /** How many of these have not come. */
  missing(spans: readonly LiveSpan[]): number {
    let count = 0
    for (const { from, to } of spans) {
      for (let number = from; number < to; number += 1) {
        if (Number.isNaN(this.#cameMs[number] ?? NaN)) count += 1
      }
    }
    return count
  }

  /** Of those that came, from when they were due. */
  latency({ spans, ...pace }: LiveAsked): TailLatency {
    const schedule = liveSchedule(pace)
    const took = new LatencyHistogram()
    for (const { from, to } of spans) {
      for (let number = from; number < to; number += 1) {
        const cameMs = this.#cameMs[number] ?? NaN
        if (!Number.isNaN(cameMs)) took.record(Math.max(0, cameMs - schedule.atMs(number)))
      }
    }
    return took.latency()
  }

  #grow(number: number): void {
    if (number >= mostNumbers)
      throw new MqError('invalid_request', `live traffic has at most ${mostNumbers} messages`)
    const grown = new Float64Array(Math.max(2 * this.#cameMs.length, number + 1)).fill(NaN)
    grown.set(this.#cameMs)
    this.#cameMs = grown
  }
}

/** It goes on until it is stopped. */
export function liveSchedule({ startMs, rate: perSecond }: LivePace): Schedule {
  return new Schedule({ startMs, perSecond, count: Number.POSITIVE_INFINITY })
}
