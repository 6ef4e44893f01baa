import type { Command } from 'commander'
import type { Footprint, IdleBenchReport } from '@popmq/bench'
import type { Output } from '../output.ts'
import { formatSize } from '../size.ts'
import { formatTable } from '../table.ts'
import { asOption } from '../usage.ts'
import { wholeNumber } from '../whole-number.ts'
import type { BenchFlags, BenchSurroundings } from './bench-flags.ts'
import { machineText, profileText } from './bench-text.ts'

const defaults = { connections: 10_000, polls: 100_000 }
/** A broker takes 16,384 on an address. */
const mostConnections = 16_000
/** Of one connection. */
const mostPolls = 1_000
const idleMs = 10_000
/** Each poll is renewed once in it. */
const pollMs = 60_000

export function addIdleOptions(command: Command): Command {
  return command
    .option(
      '--connections <n>',
      'idle: clients that are connected (default 10000)',
      asOption(wholeNumber(1, mostConnections)),
    )
    .option(
      '--polls <n>',
      'idle: requests that wait, half fetches, half pops (default 100000)',
      asOption(wholeNumber(2, mostConnections * mostPolls)),
    )
}

/** What `popmq dev`, idle connections and waiting polls cost. */
export async function benchIdle(
  output: Output,
  { flags, given }: { flags: BenchFlags; given: BenchSurroundings },
): Promise<void> {
  const { runIdleBench } = await import('@popmq/bench')
  const { connections, polls } = { ...defaults, ...flags }
  const { profiles, ...report } = await runIdleBench({
    ...given,
    ...{ connections, polls, idleMs, pollMs },
  })
  for (const profiled of profiles) await output.object(profiled, () => profileText(profiled))
  await output.object(report, () => reportText(report))
}

function reportText(report: Omit<IdleBenchReport, 'profiles'>): string {
  const { settings, machine, footprints, wakeUps } = report
  return [
    `idle: ${settings.connections} connections, ${report.fetches} fetches and ${report.pops} pops that wait`,
    machineText(machine),
    `data in ${report.dataFolder}`,
    '',
    costs(report),
    '',
    formatTable(
      ['broker', 'resident', 'in use'],
      [
        footprintRow('alone', footprints.alone),
        footprintRow('half connected', footprints.half),
        footprintRow('all connected', footprints.connected),
        footprintRow('all fetches waiting', footprints.fetching),
        footprintRow('all pops waiting', footprints.polling),
      ],
    ).trimEnd(),
    '',
    formatTable(
      ['woken', 'polls', 'times', 'p50 ms', 'max ms', 'answers', 'broker µs each'],
      wakeUps.map(({ what, woken, latency, answered, brokerUs }) => [
        ...[what, String(woken), String(latency.count)],
        ...[latency.p50Ms, latency.maxMs].map((ms) => ms.toFixed(3)),
        String(answered),
        String(brokerUs),
      ]),
    ).trimEnd(),
  ].join('\n')
}

function costs(report: Omit<IdleBenchReport, 'profiles'>): string {
  const { dev, perConnection, perFetch, perPop, connectedCpu, pollingCpu } = report
  const each = ({ rssBytes, usedBytes }: Footprint): string =>
    `${rssBytes} B resident, ${usedBytes} B in use`
  const share = ({ broker, coordinator }: IdleBenchReport['connectedCpu']): string =>
    `broker ${broker} %, coordinator ${coordinator} %`
  const rows = [
    ['popmq dev: ready', `${dev.readyMs} ms (${dev.starts.join(', ')})`],
    ['popmq dev: resident', formatSize(dev.rssBytes)],
    ['popmq dev: processor while idle', `${dev.cpuPercent} %`],
    ['all connected in', `${Math.round(report.openedInMs)} ms`],
    ['each connection', each(perConnection)],
    ['each of the later half', each(report.perLaterConnection)],
    ['each waiting fetch', each(perFetch)],
    ['each waiting pop', each(perPop)],
    ['processor with all connected', share(connectedCpu)],
    ['processor with all polls', share(pollingCpu)],
  ]
  return formatTable(['what', 'figure'], rows).trimEnd()
}

function footprintRow(what: string, { rssBytes, usedBytes }: Footprint): string[] {
  return [what, formatSize(rssBytes), formatSize(usedBytes)]
}
