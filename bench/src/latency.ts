import { rounded } from './summary.ts'

/** How long something took, of many times, in ms. */
export interface Latency {
  readonly count: number
  readonly p50Ms: number
  readonly p90Ms: number
  readonly p99Ms: number
  readonly maxMs: number
}

/** Of none, all are 0. */
export function latencyOf(tookMs: readonly number[]): Latency {
  const sorted = tookMs.toSorted((a, b) => a - b)
  // The smallest value that so many of 100 do not exceed.
  const at = (percent: number): number =>
    rounded(sorted[Math.max(0, Math.ceil((percent * sorted.length) / 100) - 1)] ?? 0)
  return {
    count: sorted.length,
    p50Ms: at(50),
    p90Ms: at(90),
    p99Ms: at(99),
    maxMs: at(100),
  }
}
