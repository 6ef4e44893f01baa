import type { SendBenchReport, SendRun } from '@popmq/bench'
import type { Output } from '../output.ts'
import { formatTable } from '../table.ts'
import type { BenchFlags, BenchSurroundings } from './bench-flags.ts'
import { tailHead, tailRow } from './bench-tail.ts'
import { machineText, profileText, ratesTable } from './bench-text.ts'

const defaults = { messages: 200_000, runs: 5 }
const inFlight = 1_000
const singles = 1_000

/** What `send` takes by itself, beside a bare write and fdatasync, and how many go with 1,000 under way. */
export async function benchSend(
  output: Output,
  { flags, given }: { flags: BenchFlags; given: BenchSurroundings },
): Promise<void> {
  const { runSendBench } = await import('@popmq/bench')
  const { messages, runs } = { ...defaults, ...flags }
  const { profiles, ...report } = await runSendBench({
    ...given,
    ...{ sizeBytes: flags.size, messages, inFlight, singles, runs },
    onRun: (run, isWarmUp) =>
      output.object({ workload: 'send', ...run, isWarmUp }, () => runText(run, isWarmUp)),
  })
  for (const profiled of profiles) await output.object(profiled, () => profileText(profiled))
  await output.object(report, () => reportText(report))
}

function runText({ run, oneByOne, bare, messagesPerSecond }: SendRun, isWarmUp: boolean): string {
  const what = isWarmUp ? 'warm-up' : `run ${run}`
  const singly = `p50 ${oneByOne.p50Ms} ms, bare ${bare.p50Ms} ms`
  return `${what.padEnd(8)} one by one ${singly}; in flight ${messagesPerSecond} msg/s`
}

function reportText(report: Omit<SendBenchReport, 'profiles'>): string {
  const { settings, machine, oneByOne, beside, pairs, ratio, aim } = report
  const rows = [tailRow('send', oneByOne), tailRow('bare', beside)]
  return [
    '',
    `send: messages of ${settings.sizeBytes} B, acks disk, 8 partitions, ${settings.runs} runs: ` +
      `${settings.singles} one by one, ${settings.messages} with ${settings.inFlight} in flight`,
    machineText(machine),
    `data in ${report.dataFolder}`,
    '',
    formatTable(tailHead, rows).trimEnd(),
    '',
    `send p50 is ${ratio.toFixed(3)} × bare (aim: at most ${aim.mostRatio}), the median of ` +
      pairs.map((pair) => pair.toFixed(3)).join(', '),
    '',
    ratesTable([{ path: `${settings.inFlight} in flight`, ...report }]),
    `aim: at least ${aim.leastPerSecond} msg/s`,
  ].join('\n')
}
