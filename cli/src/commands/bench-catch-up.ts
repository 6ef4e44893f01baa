import type { CatchUpBenchReport } from '@popmq/bench'
import type { Output } from '../output.ts'
import { formatTable } from '../table.ts'
import type { BenchFlags, BenchSurroundings } from './bench-flags.ts'
import { tailHead, tailRow } from './bench-tail.ts'
import { machineText, profileText } from './bench-text.ts'

const defaults = { messages: 10_000_000, batch: 1_000, rate: 5_000, seconds: 10, runs: 3 }
const mostRatio = 2

/** Whether a consumer that reads a large backlog slows live traffic down. */
export async function benchCatchUp(
  output: Output,
  { flags, given }: { flags: BenchFlags; given: BenchSurroundings },
): Promise<void> {
  const { runCatchUpBench } = await import('@popmq/bench')
  const { messages, batch, rate, seconds, runs } = { ...defaults, ...flags }
  const asked = { ...given, sizeBytes: flags.size, messages, batch, rate, seconds, runs }
  const { profiles, ...report } = await runCatchUpBench(asked)
  for (const profiled of profiles) await output.object(profiled, () => profileText(profiled))
  await output.object(report, () => reportText(report))
}

function reportText(report: Omit<CatchUpBenchReport, 'profiles'>): string {
  const { settings, machine, live, pairs, ratio, seconds } = report
  const rows = [tailRow('alone', live.alone), tailRow('beside the catch-up', live.beside)]
  return [
    `backlog: ${settings.messages} messages of ${settings.sizeBytes} B, read beside ` +
      `${settings.rate} live messages a second on another topic, acks disk, 8 partitions, ${settings.runs} times`,
    machineText(machine),
    `data in ${report.dataFolder}`,
    '',
    `stored     ${report.storedPerSecond} msg/s, in batches of ${settings.batch}`,
    `caught up  ${report.messagesPerSecond} msg/s, in ${seconds} s, every message once`,
    '',
    formatTable(tailHead, rows).trimEnd(),
    '',
    `p99 beside the catch-up ÷ alone: ${ratio.toFixed(2)} (aim: at most ${mostRatio}), the median of ` +
      pairs.map((pair) => pair.toFixed(2)).join(', '),
  ].join('\n')
}
