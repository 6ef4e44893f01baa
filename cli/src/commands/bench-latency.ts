import type { LatencyBenchReport, LatencyRun } from '@popmq/bench'
import type { Command } from 'commander'
import type { Output } from '../output.ts'
import { formatTable } from '../table.ts'
import { asOption, wrongUsage } from '../usage.ts'
import { wholeNumber } from '../whole-number.ts'
import type { BenchFlags, BenchSurroundings } from './bench-flags.ts'
import { tailHead, tailRow } from './bench-tail.ts'
import { machineText, profileText } from './bench-text.ts'

const mostRate = 1_000_000
/** A run ends within ten minutes. */
const mostSeconds = 300

/** Those of workloads that keep to a rate. */
export function addRatedOptions(command: Command): Command {
  return command
    .option(
      '--rate <n>',
      'latency, fan-out, backlog, rebalance: messages per second (default 10000, 50000, 5000 and 6400)',
      asOption(wholeNumber(1, mostRate)),
    )
    .option(
      '--seconds <n>',
      'latency, fan-out: how long each side is measured, all runs together; backlog: how long live traffic is alone (default 20; backlog: 10)',
      asOption(wholeNumber(1, mostSeconds)),
    )
}

const defaults = { rate: 10_000, seconds: 20, runs: 4 }

/** How long messages take from end to end at a fixed rate, beside a bare loop of write and fdatasync. */
export async function benchLatency(
  output: Output,
  { flags, given }: { flags: BenchFlags; given: BenchSurroundings },
): Promise<void> {
  const { runLatencyBench, stampBytes } = await import('@popmq/bench')
  if (flags.size < stampBytes)
    throw wrongUsage(`--size: a value has at least ${stampBytes} bytes: its number and times`)
  const { rate, seconds, runs } = { ...defaults, ...flags }
  const { profiles, ...report } = await runLatencyBench({
    ...given,
    ...{ sizeBytes: flags.size, rate, seconds, runs },
    onRun: (run, isWarmUp) =>
      output.object({ workload: 'latency', ...run, isWarmUp }, () => runText(run, isWarmUp)),
  })
  for (const profiled of profiles) await output.object(profiled, () => profileText(profiled))
  await output.object(report, () => reportText(report))
}

function runText({ path, run, p50Ms, p99Ms, maxMs }: LatencyRun, isWarmUp: boolean): string {
  const what = isWarmUp ? 'warm-up' : `run ${run}`
  return `${what.padEnd(8)} ${path.padEnd(6)} p50 ${p50Ms} ms, p99 ${p99Ms} ms, max ${maxMs} ms`
}

function reportText(report: Omit<LatencyBenchReport, 'profiles'>): string {
  const { settings, machine, received, acknowledged, late, beside, pairs, ratio } = report
  const { rate, sizeBytes, seconds, runs } = settings
  const rows = [
    tailRow('received', received),
    tailRow('acknowledged', acknowledged),
    tailRow('sent late', late),
    tailRow('bare: synced', beside),
  ]
  return [
    '',
    `latency: ${rate} messages of ${sizeBytes} B a second for ${seconds} s in ${runs} runs, acks disk, ` +
      `8 partitions; from when each was to be sent`,
    machineText(machine),
    `data in ${report.dataFolder}`,
    `sent ${report.messagesPerSecond} msg/s`,
    '',
    formatTable(tailHead, rows).trimEnd(),
    '',
    `received p99 is ${ratio.toFixed(3)} × bare (aim: at most ${report.mostRatio}), the median of ` +
      pairs.map((pair) => pair.toFixed(3)).join(', '),
  ].join('\n')
}
