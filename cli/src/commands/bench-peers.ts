import type { MeasuredRow, PeersBenchReport, PeerWorkload } from '@popmq/bench'
import type { Invocation } from '../invocation.ts'
import { formatTable } from '../table.ts'
import { wrongUsage } from '../usage.ts'
import type { BenchFlags, BenchSurroundings } from './bench-flags.ts'
import { machineText, runText } from './bench-text.ts'

interface Asked {
  readonly workloads: readonly PeerWorkload[]
  readonly flags: BenchFlags
  readonly given: BenchSurroundings
}

const defaults = { messages: 500_000, runs: 3, consumers: 8, processes: 1, acks: 'disk' } as const
const batchOf = { 'end-to-end': 1_000, pop: 32 }

/** PopMQ beside other queues in the same run: one table for each workload. */
export async function benchPeers(
  { output, surroundings, settings }: Invocation,
  { workloads, flags, given }: Asked,
): Promise<void> {
  if (settings.serverFlag !== undefined)
    throw wrongUsage('--server is not for peers: each is started for the measurement')
  const { runPeersBench } = await import('@popmq/bench')
  const { messages, runs, consumers, processes, acks } = { ...defaults, ...flags }
  if (processes > consumers)
    throw wrongUsage(`--processes: ${consumers} consumers are in at most as many processes`)
  for (const workload of workloads) {
    const report = await runPeersBench({
      ...given,
      workload,
      sizeBytes: flags.size,
      batch: flags.batch ?? batchOf[workload],
      ...{ messages, runs, consumers, processes, acks },
      only: flags.only ?? [],
      say: (what) => void surroundings.stderr.write(`${what}\n`),
      onRun: (turn, isWarmUp) =>
        output.object({ workload, ...turn, isWarmUp }, () => runText(turn, isWarmUp)),
    })
    await output.object(report, () => reportText(report))
  }
}

const head = [
  'path',
  'median msg/s',
  'lowest',
  'highest',
  'spread',
  'popmq is',
  'messages',
  'acknowledged',
]

function reportText({ workload, settings, machine, dataFolder, rows }: PeersBenchReport): string {
  const { sizeBytes, batch, runs, consumers, processes } = settings
  const measured = rows.flatMap((row) => ('notRun' in row ? [] : [row]))
  const absent = rows.flatMap((row) =>
    'notRun' in row ? [`${row.path}: not run: ${row.notRun}`] : [],
  )
  const how =
    workload === 'pop'
      ? `popped and acked ${batch} at a time by ${consumers} consumers in ` +
        `${processes} ${processes === 1 ? 'process' : 'processes'}`
      : `in batches of ${batch}, 1,000 keys, one producing and one consuming process`
  return [
    '',
    `${workload} beside peers: values of ${sizeBytes} B, ${how}, ${runs} runs`,
    machineText(machine),
    `data in ${dataFolder}`,
    '',
    formatTable(head, measured.map(cells)).trimEnd(),
    '',
    ...measured.map(({ path, versions, settings: own }) => `${path}: ${versions}; ${own}`),
    ...absent,
  ].join('\n')
}

function cells(row: MeasuredRow): readonly string[] {
  const { messagesPerSecond, low, high, spread, ratio, messages } = row
  return [
    row.path,
    ...[messagesPerSecond, low, high].map(String),
    `${(spread * 100).toFixed(1)} %`,
    `${ratio.toFixed(2)} ×`,
    String(messages),
    row.acknowledged,
  ]
}
