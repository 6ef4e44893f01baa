/** Tables that show the far end of latencies. */
import type { TailLatency } from '@popmq/bench'

export const tailHead = ['what', 'p50 ms', 'p90 ms', 'p99 ms', 'p99.9 ms', 'max ms']

export function tailRow(what: string, latency: TailLatency): readonly string[] {
  const { p50Ms, p90Ms, p99Ms, p999Ms, maxMs } = latency
  return [what, ...[p50Ms, p90Ms, p99Ms, p999Ms, maxMs].map((ms) => ms.toFixed(3))]
}
