/** What the tables of all workloads have in common. */
import type { Machine, Profiled, Summary } from '@popmq/bench'
import { formatTable } from '../table.ts'

export function machineText(machine: Machine): string {
  const { system, processor, threads, memoryGiB, node } = machine
  return `${system}, ${processor}, ${threads} threads, ${memoryGiB} GiB, Node.js ${node}`
}

export function ratesTable(rows: readonly (Summary & { readonly path: string })[]): string {
  return formatTable(
    ['path', 'median msg/s', 'lowest', 'highest', 'spread'],
    rows.map(({ path, messagesPerSecond, low, high, spread }) => [
      path,
      ...[messagesPerSecond, low, high].map(String),
      `${(spread * 100).toFixed(1)} %`,
    ]),
  ).trimEnd()
}

export function runText(
  run: {
    readonly path: string
    readonly run: number
    readonly seconds: number
    readonly messagesPerSecond: number
  },
  isWarmUp: boolean,
): string {
  const what = isWarmUp ? 'warm-up' : `run ${run.run}`
  return `${what.padEnd(8)} ${run.path.padEnd(11)} ${run.messagesPerSecond} msg/s in ${run.seconds} s`
}

export function profileText({ process, file, hottest }: Profiled): string {
  const rows = hottest.map(({ name, where, selfMs, share }) => [
    `${(share * 100).toFixed(1)} %`,
    String(selfMs),
    name,
    where,
  ])
  return `\n${process}: ${file}\n${formatTable(['self', 'ms', 'function', 'where'], rows).trimEnd()}`
}
