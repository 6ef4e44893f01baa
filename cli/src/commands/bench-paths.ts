import type { BenchReport, ServerMemory, Workload } from '@popmq/bench'
import type { Output } from '../output.ts'
import type { BenchFlags, BenchSurroundings } from './bench-flags.ts'
import { machineText, profileText, ratesTable, runText } from './bench-text.ts'

/** produce, end-to-end and many-topics. */
export async function benchPaths(
  output: Output,
  { workload, flags, given }: { workload: Workload; flags: BenchFlags; given: BenchSurroundings },
): Promise<void> {
  const { runBench } = await import('@popmq/bench')
  const { profiles, ...report } = await runBench({
    ...given,
    workload,
    sizeBytes: flags.size,
    batch: flags.batch ?? 1_000,
    acks: flags.acks ?? 'disk',
    messages: flags.messages ?? 500_000,
    runs: flags.runs ?? 5,
    keyed: flags.keyed ?? workload === 'end-to-end',
    turns: flags.turns ?? 'batch',
    besideStripped: flags.beside === 'stripped',
    onRun: (run, isWarmUp) =>
      output.object({ workload, ...run, isWarmUp }, () => runText(run, isWarmUp)),
  })
  for (const profiled of profiles) await output.object(profiled, () => profileText(profiled))
  await output.object(report, () => reportText(report))
}

function reportText(report: Omit<BenchReport, 'profiles'>): string {
  const { workload, settings, machine, beside, ratio, serverMemory } = report
  const own = workload === 'many-topics' ? 'many topics' : 'popmq'
  const { sizeBytes, batch, acks, messages, runs, keyed } = settings
  return [
    '',
    `${workload}: ${messages} messages of ${sizeBytes} B in batches of ${batch}, acks ${acks}, ` +
      `8 partitions, ${keyed ? 'keyed' : 'without keys'}, ${runs} runs`,
    machineText(machine),
    `data in ${report.dataFolder}`,
    '',
    ratesTable([{ path: own, ...report }, ...(beside === undefined ? [] : [beside])]),
    ...(ratio === undefined ? [] : ['', `ratio ${ratio.toFixed(3)}`]),
    ...(serverMemory === undefined ? [] : ['', memoryText(serverMemory)]),
  ].join('\n')
}

function memoryText({ peakRssBytes, mostRssBytes }: ServerMemory): string {
  const inMegabytes = (bytes: number): number => Math.round(bytes / 1e5) / 10
  return `server: at most ${inMegabytes(peakRssBytes)} MB resident (aim: at most ${inMegabytes(mostRssBytes)} MB)`
}
