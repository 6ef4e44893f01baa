import type { PopBenchReport } from '@popmq/bench'
import type { Output } from '../output.ts'
import { wrongUsage } from '../usage.ts'
import type { BenchFlags, BenchSurroundings } from './bench-flags.ts'
import { machineText, profileText, ratesTable, runText } from './bench-text.ts'

interface Asked {
  readonly workload: 'pop' | 'pop-held'
  readonly flags: BenchFlags
  readonly given: BenchSurroundings
}

const defaults = { batch: 32, messages: 500_000, consumers: 8, processes: 1 }
const runsOf = { pop: 5, 'pop-held': 7 }

/** What a group pops and acks, and whether a message that is held slows the others. */
export async function benchPop(output: Output, { workload, flags, given }: Asked): Promise<void> {
  const { runPopBench } = await import('@popmq/bench')
  const { batch, messages, consumers, processes } = { ...defaults, ...flags }
  if (processes > consumers)
    throw wrongUsage(`--processes: ${consumers} consumers are in at most as many processes`)
  if (workload === 'pop-held' && messages < 2)
    throw wrongUsage('--messages: one is held, and others flow: at least 2')
  const { profiles, ...report } = await runPopBench({
    ...given,
    workload,
    sizeBytes: flags.size,
    batch,
    messages,
    consumers,
    processes,
    runs: flags.runs ?? runsOf[workload],
    onRun: (run, isWarmUp) =>
      output.object({ workload, ...run, isWarmUp }, () => runText(run, isWarmUp)),
  })
  for (const profiled of profiles) await output.object(profiled, () => profileText(profiled))
  await output.object(report, () => reportText(report))
}

function reportText(report: Omit<PopBenchReport, 'profiles'>): string {
  const { workload, settings, machine, beside, pairs = [], ratio } = report
  const { sizeBytes, batch, messages, consumers, processes, runs } = settings
  const own = workload === 'pop' ? 'pop' : 'one held'
  const found =
    ratio === undefined
      ? []
      : [
          '',
          `ratio ${ratio.toFixed(3)}, the median of ${pairs.map((pair) => pair.toFixed(3)).join(', ')}`,
        ]
  return [
    '',
    `${workload}: ${messages} messages of ${sizeBytes} B, popped and acked in batches of ${batch} by ` +
      `${consumers} consumers in ${processes} ${processes === 1 ? 'process' : 'processes'}, ` +
      `8 partitions, ${runs} ${workload === 'pop' ? 'runs' : 'pairs of runs'}`,
    machineText(machine),
    `data in ${report.dataFolder}`,
    '',
    ratesTable([{ path: own, ...report }, ...(beside === undefined ? [] : [beside])]),
    ...found,
  ].join('\n')
}
