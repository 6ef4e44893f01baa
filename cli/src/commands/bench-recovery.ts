import type { RecoveryBenchReport, RecoveryStart, StartMedians } from '@popmq/bench'
import type { Command } from 'commander'
import type { Output } from '../output.ts'
import { formatTable } from '../table.ts'
import { asOption } from '../usage.ts'
import { wholeNumber } from '../whole-number.ts'
import type { BenchFlags, BenchSurroundings } from './bench-flags.ts'
import { machineText } from './bench-text.ts'

const defaults = { megabytes: 10_000, batch: 1_000, runs: 3 }
const mostMegabytes = 1_000_000
const loadMs = 3_000
/** From the start of the process until it serves. */
const mostMs = { stop: 1_000, kill: 3_000 }

export function addRecoveryOptions(command: Command): Command {
  return command.option(
    '--megabytes <n>',
    'recovery: values in the log before the first stop (default 10000)',
    asOption(wholeNumber(1, mostMegabytes)),
  )
}

/** How soon a server over a large log serves again, after a stop and after a kill. */
export async function benchRecovery(
  output: Output,
  { flags, given }: { flags: BenchFlags; given: BenchSurroundings },
): Promise<void> {
  const { runRecoveryBench } = await import('@popmq/bench')
  const { megabytes, batch, runs } = { ...defaults, ...flags }
  const { popmq, data, signal } = given
  const report = await runRecoveryBench({
    ...{ popmq, signal, megabytes, sizeBytes: flags.size, batch, runs, loadMs },
    ...(data === undefined ? {} : { data }),
    onStart: (start) => output.object({ workload: 'recovery', ...start }, () => startText(start)),
  })
  await output.object(report, () => reportText(report))
}

function startText({ after, run, servedMs, verifiedBytes, cutBytes }: RecoveryStart): string {
  const read = `${inMegabytes(verifiedBytes)} MB of log read again, ${cutBytes} B cut off`
  return `run ${run}  after a ${after.padEnd(4)}  served after ${Math.round(servedMs)} ms, ${read}`
}

const steps: readonly (readonly [keyof StartMedians, string])[] = [
  ['leadingMs', 'program loaded, registry open'],
  ['recoveredMs', 'log made whole'],
  ['servingMs', 'broker serves'],
  ['producedMs', 'first message acknowledged'],
  ['readMs', 'last messages of before read'],
  ['servedMs', 'both'],
]

function reportText(report: RecoveryBenchReport): string {
  const { settings, machine, filled, afterStop, afterKill } = report
  const row = (what: string, of: (medians: StartMedians) => number): string[] => [
    what,
    String(of(afterStop)),
    String(of(afterKill)),
  ]
  const rows = [
    ...steps.map(([name, what]) => row(what, (medians) => medians[name])),
    row('MB of log read again', ({ verifiedBytes }) => inMegabytes(verifiedBytes)),
    ['aim', String(mostMs.stop), String(mostMs.kill)],
  ]
  return [
    '',
    `recovery: ${settings.megabytes} MB in messages of ${settings.sizeBytes} B, 8 partitions; a log of ` +
      `${inMegabytes(report.logBytes)} MB at the end; ${settings.runs} starts of each kind, under load before`,
    machineText(machine),
    `data in ${report.dataFolder}`,
    '',
    `filled with ${Math.round(filled.megabytesPerSecond)} MB/s in ${filled.seconds} s, acks disk, batches of ${settings.batch}`,
    `a stop in good order took ${report.stopMs} ms`,
    `looked for ${report.checked} messages that had been acknowledged last: all were there`,
    '',
    formatTable(
      ['ms from the start of the process', 'after a stop', 'after a kill'],
      rows,
    ).trimEnd(),
  ].join('\n')
}

function inMegabytes(bytes: number): number {
  return Math.round(bytes / 1e6)
}
