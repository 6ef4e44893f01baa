import type { ChangeFigures, MembershipChange, RebalanceBenchReport } from '@popmq/bench'
import type { Command } from 'commander'
import { durationBetween, formatDuration } from '../duration.ts'
import type { Output } from '../output.ts'
import { formatTable } from '../table.ts'
import { asOption } from '../usage.ts'
import { wholeNumber } from '../whole-number.ts'
import type { BenchFlags, BenchSurroundings } from './bench-flags.ts'
import { machineText } from './bench-text.ts'

const defaults = { members: 10, partitions: 64, rate: 6_400, rounds: 3, session: 6_000 }
const mostMembers = 200
const sessionBounds = [1_000, 600_000] as const

export function addRebalanceOptions(command: Command): Command {
  return command
    .option(
      '--members <n>',
      'rebalance: members of the group, each a process (default 10)',
      asOption(wholeNumber(1, mostMembers)),
    )
    .option(
      '--session <duration>',
      "rebalance: the group's session timeout (default 6s)",
      asOption(durationBetween(...sessionBounds)),
    )
}

/** How long nobody reads a partition when members of a group come and go. */
export async function benchRebalance(
  output: Output,
  { flags, given }: { flags: BenchFlags; given: BenchSurroundings },
): Promise<void> {
  const { runRebalanceBench } = await import('@popmq/bench')
  const { members, partitions, rate, rounds, session: sessionMs } = { ...defaults, ...flags }
  const report = await runRebalanceBench({
    ...given,
    ...{ sizeBytes: flags.size, members, partitions, rate, rounds, sessionMs },
    onChange: ({ moves, ...change }) => {
      const told = { workload: 'rebalance', ...change, moved: moves.length }
      return output.object(told, () => changeText({ moves, ...change }))
    },
  })
  await output.object(report, () => reportText(report))
}

function changeText({ change, round, moves, least, settledMs }: MembershipChange): string {
  const moved = `${moves.length} partitions moved, ${least} at least`
  return `round ${round}  ${change.padEnd(5)}  ${moved}, all read after ${Math.round(settledMs)} ms`
}

const names = { join: 'a member joins', leave: 'one leaves', kill: 'one is killed' } as const

function reportText(report: RebalanceBenchReport): string {
  const { settings, machine, messageEveryMs } = report
  const kinds = ['join', 'leave', 'kill'] as const
  const counts = kinds.map((kind) => {
    const { changes, moved, least } = report[kind]
    return [names[kind], ...[changes, moved, least].map(String)]
  })
  return [
    '',
    `rebalance: ${settings.members} members, ${settings.partitions} partitions, ${settings.rate} messages of ` +
      `${settings.sizeBytes} B a second, session timeout ${formatDuration(settings.sessionMs)}`,
    machineText(machine),
    `data in ${report.dataFolder}`,
    '',
    formatTable(['when', 'times', 'moved', 'at least'], counts).trimEnd(),
    '',
    formatTable(
      ['nobody reads', 'seen by', 'p50 ms', 'p99 ms', 'max ms'],
      kinds.flatMap((kind) => darkRows(names[kind], report[kind])),
    ).trimEnd(),
    '',
    `members see a message of each partition every ${messageEveryMs.toFixed(1)} ms`,
  ].join('\n')
}

function darkRows(what: string, { dark, gap }: ChangeFigures): string[][] {
  return [
    { by: 'coordinator', of: dark },
    { by: 'members', of: gap },
  ].map(({ by, of }) => [what, by, ...[of.p50Ms, of.p99Ms, of.maxMs].map((ms) => ms.toFixed(1))])
}
