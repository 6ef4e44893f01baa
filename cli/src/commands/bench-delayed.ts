import type { DelayedBenchReport } from '@popmq/bench'
import type { Output } from '../output.ts'
import { formatSize } from '../size.ts'
import { formatTable } from '../table.ts'
import type { BenchFlags, BenchSurroundings } from './bench-flags.ts'
import { machineText, profileText } from './bench-text.ts'

const defaults = { messages: 1_000_000, batch: 1_000 }

/** What pending messages cost, and how fast they are scheduled and become visible. */
export async function benchDelayed(
  output: Output,
  { flags, given }: { flags: BenchFlags; given: BenchSurroundings },
): Promise<void> {
  const { runDelayedBench } = await import('@popmq/bench')
  const { messages, batch, lead } = { ...defaults, ...flags }
  const { profiles, ...report } = await runDelayedBench({
    ...given,
    sizeBytes: flags.size,
    messages,
    batch,
    ...(lead === undefined ? {} : { leadMs: lead }),
  })
  for (const profiled of profiles) await output.object(profiled, () => profileText(profiled))
  await output.object(report, () => reportText(report))
}

function reportText(report: Omit<DelayedBenchReport, 'profiles'>): string {
  const { settings, machine, memory, growth } = report
  const rates = [
    ['sent without a delay', `${report.producedPerSecond} msg/s`],
    ['scheduled', `${report.scheduledPerSecond} msg/s`],
    ['fired', `${report.firedPerSecond} msg/s`],
  ]
  const states = [
    { when: 'before', of: memory.before },
    { when: 'all pending', of: memory.pending },
    { when: 'all visible', of: memory.after },
  ].map(({ when, of }) => [
    when,
    String(of.delayed),
    formatSize(of.rssBytes),
    formatSize(of.usedBytes),
  ])
  return [
    `delayed: ${settings.messages} messages of ${settings.sizeBytes} B, all due at one moment`,
    machineText(machine),
    `data in ${report.dataFolder}`,
    '',
    formatTable(['what', 'rate'], rates).trimEnd(),
    '',
    formatTable(['broker', 'pending', 'resident', 'in use'], states).trimEnd(),
    '',
    `${growth.rssBytes} B resident, ${growth.usedBytes} B in use for each pending message`,
  ].join('\n')
}
