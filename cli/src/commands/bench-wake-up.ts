import type { WakeUpBenchReport } from '@popmq/bench'
import type { Output } from '../output.ts'
import { formatTable } from '../table.ts'
import type { BenchFlags, BenchSurroundings } from './bench-flags.ts'
import { machineText, profileText } from './bench-text.ts'

const defaults = { messages: 1_000, delay: 50 }

/** How soon a waiting pop has a message. */
export async function benchWakeUp(
  output: Output,
  { flags, given }: { flags: BenchFlags; given: BenchSurroundings },
): Promise<void> {
  const { runWakeUpBench } = await import('@popmq/bench')
  const { messages, delay } = { ...defaults, ...flags }
  const asked = { ...given, sizeBytes: flags.size, messages, delayMs: delay }
  const { profiles, ...report } = await runWakeUpBench(asked)
  for (const profiled of profiles) await output.object(profiled, () => profileText(profiled))
  await output.object(report, () => reportText(report))
}

function reportText(report: Omit<WakeUpBenchReport, 'profiles'>): string {
  const { settings, machine, send, arrival, retry, expiry } = report
  const { messages, sizeBytes, delayMs } = settings
  const rows = [
    { what: 'send, acks disk', latency: send },
    { what: 'arrival: from the send', latency: arrival },
    { what: `due retry: from the nack, less ${delayMs} ms`, latency: retry },
    { what: `expired lease: from the pop, less ${delayMs} ms`, latency: expiry },
  ].map(({ what, latency: { p50Ms, p90Ms, p99Ms, maxMs } }) => [
    what,
    ...[p50Ms, p90Ms, p99Ms, maxMs].map((ms) => ms.toFixed(3)),
  ])
  return [
    `wake-up: ${messages} messages of ${sizeBytes} B, one after the other, to pops that wait`,
    machineText(machine),
    `data in ${report.dataFolder}`,
    '',
    formatTable(['what', 'p50 ms', 'p90 ms', 'p99 ms', 'max ms'], rows).trimEnd(),
  ].join('\n')
}
