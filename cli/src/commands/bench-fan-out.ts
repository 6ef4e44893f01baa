import type { FanOutBenchReport, FanOutFigures, FanOutRun } from '@popmq/bench'
import type { Output } from '../output.ts'
import { formatSize } from '../size.ts'
import { formatTable } from '../table.ts'
import { wrongUsage } from '../usage.ts'
import type { BenchFlags, BenchSurroundings } from './bench-flags.ts'
import { tailHead, tailRow } from './bench-tail.ts'
import { machineText, profileText } from './bench-text.ts'

const defaults = { rate: 50_000, seconds: 20, runs: 2, groups: 8, processes: 2 }

/** What further groups that read the same messages cost the broker, and how far they lag. */
export async function benchFanOut(
  output: Output,
  { flags, given }: { flags: BenchFlags; given: BenchSurroundings },
): Promise<void> {
  const { runFanOutBench, stampBytes } = await import('@popmq/bench')
  if (flags.size < stampBytes)
    throw wrongUsage(`--size: a value has at least ${stampBytes} bytes: its number and times`)
  const { rate, seconds, runs, groups, processes } = { ...defaults, ...flags }
  if (processes > groups)
    throw wrongUsage(`--processes: ${groups} groups are in at most as many processes`)
  const { profiles, ...report } = await runFanOutBench({
    ...given,
    ...{ sizeBytes: flags.size, rate, seconds, runs, groups, processes },
    onRun: (run, isWarmUp) =>
      output.object({ workload: 'fan-out', ...run, isWarmUp }, () => runText(run, isWarmUp)),
  })
  for (const profiled of profiles) await output.object(profiled, () => profileText(profiled))
  await output.object(report, () => reportText(report))
}

function runText(run: FanOutRun, isWarmUp: boolean): string {
  const what = isWarmUp ? 'warm-up' : `run ${run.run}`
  const { path, messagesPerSecond, deliveredPerSecond, lag } = run
  return (
    `${what.padEnd(8)} ${path.padEnd(10)} sent ${messagesPerSecond} msg/s, delivered ` +
    `${deliveredPerSecond} msg/s, lag p99 ${lag.p99Ms} ms, max ${lag.maxMs} ms`
  )
}

const workHead = [
  'path',
  'sent msg/s',
  'delivered msg/s',
  'broker µs/sent',
  'broker µs/delivered',
  'messages/sync',
  'read from disk',
]

function reportText(report: Omit<FanOutBenchReport, 'profiles'>): string {
  const { settings, machine, lags, beside, late, ratios } = report
  const { rate, sizeBytes, seconds, groups, processes, runs } = settings
  const lagRows = [
    ...lags.map((lag, index) => tailRow(`group ${index + 1}`, lag)),
    tailRow('one group alone', beside.lag),
    tailRow('(sent late)', late),
  ]
  return [
    '',
    `fan-out: ${rate} messages of ${sizeBytes} B a second for ${seconds} s in ${runs} runs, 8 partitions, ` +
      `to ${groups} groups in ${processes} ${processes === 1 ? 'process' : 'processes'}, beside one group`,
    machineText(machine),
    `data in ${report.dataFolder}`,
    '',
    formatTable(tailHead, lagRows).trimEnd(),
    '',
    formatTable(workHead, [report, beside].map(workRow)).trimEnd(),
    '',
    `${groups} groups ÷ one: lag p99 ${ratios.lagP99}, broker µs/sent ${ratios.cpuPerSent}, ` +
      `broker µs/delivered ${ratios.cpuPerDelivered}`,
    `${report.cpuUsPerFurther} µs of the broker for each delivery to a further group`,
  ].join('\n')
}

function workRow(figures: FanOutFigures): readonly string[] {
  const { path, messagesPerSecond, deliveredPerSecond, cpuUsPerSent, cpuUsPerDelivered } = figures
  return [
    path,
    ...[messagesPerSecond, deliveredPerSecond].map(String),
    ...[cpuUsPerSent, cpuUsPerDelivered].map((us) => us.toFixed(2)),
    String(Math.round(figures.messagesPerSync)),
    formatSize(figures.work.diskReadBytes),
  ]
}
