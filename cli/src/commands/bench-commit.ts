import type { CommitBenchReport } from '@popmq/bench'
import type { Invocation } from '../invocation.ts'
import { formatTable } from '../table.ts'
import { wrongUsage } from '../usage.ts'
import { machineText } from './bench-text.ts'

export interface CommitFlags {
  readonly groups?: number
  readonly partitions?: number
  readonly rounds?: number
  readonly zookeeper?: string
  readonly data?: string
}

const defaults = { groups: 1_000, partitions: 64, rounds: 20 }

/** Many groups commit at once; `popmq` is the program that is started. */
export async function benchCommit(
  { output, signal, settings }: Invocation,
  popmq: string,
  flags: CommitFlags,
): Promise<void> {
  if (settings.serverFlag !== undefined)
    throw wrongUsage('--server is not for commit: it starts a cluster of its own')
  const { runCommitBench } = await import('@popmq/bench')
  const { groups, partitions, rounds, zookeeper, data } = { ...defaults, ...flags }
  const given = {
    ...(zookeeper === undefined ? {} : { zookeeper }),
    ...(data === undefined ? {} : { data }),
  }
  const report = await runCommitBench({ popmq, groups, partitions, rounds, signal, ...given })
  await output.object(report, () => reportText(report))
}

function reportText(report: CommitBenchReport): string {
  const { settings, machine } = report
  const rows = [
    ['commits', `${report.commitsPerSecond}/s`],
    ['offsets made durable', `${report.partitionCommitsPerSecond}/s`],
    ['commit() p50', `${report.p50Ms} ms`],
    ['commit() p99', `${report.p99Ms} ms`],
    ['one flush', `${report.flushMs} ms`],
    ['commits to the registry', `${report.registryCommitsPerSecond}/s`],
    ['nodes written there', `${report.registryNodesPerSecond}/s`],
  ]
  return [
    `commit: ${settings.groups} groups of one member, ${settings.partitions} partitions, ` +
      `${settings.rounds} commits each, registry ${settings.registry}`,
    machineText(machine),
    '',
    formatTable(['what', 'figure'], rows).trimEnd(),
  ].join('\n')
}
