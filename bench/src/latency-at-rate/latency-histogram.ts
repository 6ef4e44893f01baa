import { build, decodeFromCompressedBase64, encodeIntoCompressedBase64 } from 'hdr-histogram-js'
import type { Latency } from '../latency.ts'
import { rounded } from '../summary.ts'

/** With the far end, where what is rare shows. */
export interface TailLatency extends Latency {
  readonly p999Ms: number
}

const usPerMs = 1_000

/** How long something took, very many times: in µs, to three digits, in little memory. */
export class LatencyHistogram {
  readonly #us: ReturnType<typeof build>

  constructor() {
    this.#us = build({ numberOfSignificantValueDigits: 3 })
  }

  get count(): number {
    return this.#us.totalCount
  }

  /** `ms` is not negative: all processes of a machine have one clock. `count` took as long. */
  record(ms: number, count = 1): void {
    this.#us.recordValueWithCount(Math.round(ms * usPerMs), count)
  }

  /** Takes over what another process recorded. */
  addAll(encoded: string): void {
    this.#us.add(decodeFromCompressedBase64(encoded))
  }

  encode(): string {
    return encodeIntoCompressedBase64(this.#us)
  }

  /** Of none, all are 0. */
  latency(): TailLatency {
    const at = (percent: number): number =>
      rounded(this.#us.getValueAtPercentile(percent) / usPerMs)
    return {
      count: this.count,
      p50Ms: at(50),
      p90Ms: at(90),
      p99Ms: at(99),
      p999Ms: at(99.9),
      maxMs: at(100),
    }
  }
}

/** Of several processes or runs together. */
export function latencyOfAll(encoded: readonly string[]): TailLatency {
  const all = new LatencyHistogram()
  for (const one of encoded) all.addAll(one)
  return all.latency()
}
