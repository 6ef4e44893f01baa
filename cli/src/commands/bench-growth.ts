import type { GrowthBenchReport, GrowthRun } from '@popmq/bench'
import type { Output } from '../output.ts'
import { formatTable } from '../table.ts'
import type { BenchFlags, BenchSurroundings } from './bench-flags.ts'
import { machineText, profileText } from './bench-text.ts'

const defaults = { messages: 200_000, batch: 1_000, runs: 3 }

/** What ten times as many messages, partitions, groups and connections cost the server. */
export async function benchGrowth(
  output: Output,
  { flags, given }: { flags: BenchFlags; given: BenchSurroundings },
): Promise<void> {
  const { runGrowthBench } = await import('@popmq/bench')
  const { messages, batch, runs } = { ...defaults, ...flags }
  const { profiles, ...report } = await runGrowthBench({
    ...given,
    sizeBytes: flags.size,
    ...{ messages, batch, runs },
    onRun: (run, isWarmUp) =>
      output.object({ workload: 'growth', ...run, isWarmUp }, () => growthRunText(run, isWarmUp)),
  })
  for (const profiled of profiles) await output.object(profiled, () => profileText(profiled))
  await output.object(report, () => reportText(report))
}

function growthRunText(
  { dimension, times, run, cpuMs, seconds }: GrowthRun,
  isWarmUp: boolean,
): string {
  const what = isWarmUp ? 'warm-up' : `run ${run}`
  const how = `${times} × ${dimension}`
  return `${what.padEnd(8)} ${how.padEnd(16)} ${(cpuMs / 1_000).toFixed(3)} s of processor in ${seconds} s`
}

function reportText(report: Omit<GrowthBenchReport, 'profiles'>): string {
  const { settings, machine, base, growths } = report
  const seconds = (ms: number): string => (ms / 1_000).toFixed(3)
  const rows = growths.map(({ dimension, from, to, fromCpuMs, toCpuMs, pairs, ratio }) => [
    ...[dimension, `${from} → ${to}`, seconds(fromCpuMs), seconds(toCpuMs)],
    ...[`${ratio.toFixed(2)} ×`, pairs.map((pair) => pair.toFixed(2)).join(', ')],
  ])
  return [
    '',
    `growth: ${base.messages} messages of ${settings.sizeBytes} B in batches of ${settings.batch}, ` +
      `${base.partitions} partitions, ${base.groups} group, ${base.connections} idle connections; ` +
      `each ten times, ${settings.runs} pairs of runs`,
    machineText(machine),
    `data in ${report.dataFolder}`,
    '',
    formatTable(
      ['what', 'grows', 'CPU s', 'CPU s at 10 ×', 'ratio', 'of each pair'],
      rows,
    ).trimEnd(),
  ].join('\n')
}
