import { fileURLToPath } from 'node:url'
import { type Command, Option } from 'commander'
import type { BenchReport, BenchRequest, Profiled, Run } from '@popmq/bench'
import { nearest } from '@popmq/kit'
import { type AckLevel, limits, MqError } from '@popmq/protocol'
import { parseAcks } from '../ack-level.ts'
import type { Invocation } from '../invocation.ts'
import { parseSize } from '../size.ts'
import { formatTable } from '../table.ts'
import { type Act, asOption, wrongUsage } from '../usage.ts'
import { wholeNumber } from '../whole-number.ts'
import { benchCommit } from './bench-commit.ts'

const workloads = ['produce', 'end-to-end', 'many-topics', 'commit'] as const

export function addBenchCommand(program: Command, act: Act): void {
  program
    .command('bench')
    .description('measure, on processes of its own unless --server is given')
    .argument('<workload>', workloads.join(', '), asOption(parseWorkload))
    .option('--size <bytes>', 'bytes of a value', asOption(parseSize), 100)
    .option(
      '--batch <n>',
      'messages given to the producer at once',
      asOption(wholeNumber(1, limits.messagesPerRun)),
      1_000,
    )
    .option('--acks <level>', 'none, received, disk or quorum', asOption(parseAcks), 'disk')
    .option('--messages <n>', 'messages per run', asOption(wholeNumber(1, 100_000_000)), 500_000)
    .option(
      '--runs <n>',
      'timed runs, behind one that warms up',
      asOption(wholeNumber(1, 1_000)),
      5,
    )
    .option('--keyed', 'messages carry one of 1,000 keys (default for end-to-end)')
    .option('--no-keyed', 'messages carry no key (default for the others)')
    .addOption(
      new Option('--beside <path>', 'measure this beside it: stripped').choices(['stripped']),
    )
    .addOption(
      new Option('--turns <by>', 'many-topics: topics take turns by batch or by message')
        .choices(['batch', 'message'])
        .default('batch'),
    )
    .option('--groups <n>', 'commit: groups (default 1000)', asOption(wholeNumber(1, 10_000)))
    .option(
      '--partitions <n>',
      'commit: partitions of the topic (default 64)',
      asOption(wholeNumber(1, limits.partitionsPerTopic)),
    )
    .option(
      '--rounds <n>',
      'commit: commits of each group, one after the other (default 20)',
      asOption(wholeNumber(1, 1_000_000)),
    )
    .option(
      '--zookeeper <host:port,…>',
      'commit: the ZooKeeper that keeps progress (default: the embedded registry)',
    )
    .option(
      '--data <folder>',
      'where data is kept while it runs (default: the folder for temporary files)',
    )
    .option(
      '--profile [folder]',
      'write CPU profiles and name the hottest functions (default folder ./profiles)',
    )
    .action(act(bench))
}

interface BenchFlags {
  readonly size: number
  readonly batch: number
  readonly acks: AckLevel
  readonly messages: number
  readonly runs: number
  readonly keyed?: boolean
  readonly beside?: 'stripped'
  readonly turns: 'batch' | 'message'
  readonly data?: string
  readonly profile?: string | true
  readonly groups?: number
  readonly partitions?: number
  readonly rounds?: number
  readonly zookeeper?: string
}

const popmqProgram = new URL('../../bin/popmq.js', import.meta.url)

async function bench(
  invocation: Invocation,
  workload: (typeof workloads)[number],
  flags: BenchFlags,
): Promise<void> {
  if (workload === 'commit') return benchCommit(invocation, fileURLToPath(popmqProgram), flags)
  for (const flag of ['groups', 'partitions', 'rounds', 'zookeeper'] as const) {
    if (flags[flag] !== undefined) throw wrongUsage(`--${flag} is for the workload commit`)
  }
  const { output, signal } = invocation
  const { leastSizeBytes, runBench } = await import('@popmq/bench')
  if (flags.size < leastSizeBytes)
    throw wrongUsage(`--size: a value has at least ${leastSizeBytes} bytes: its number`)
  if (flags.beside !== undefined && workload === 'many-topics')
    throw wrongUsage('--beside is not for many-topics')
  const servers = invocation.settings.serverFlag
  const request: BenchRequest = {
    workload,
    sizeBytes: flags.size,
    batch: flags.batch,
    acks: flags.acks,
    messages: flags.messages,
    runs: flags.runs,
    keyed: flags.keyed ?? workload === 'end-to-end',
    turns: flags.turns,
    besideStripped: flags.beside === 'stripped',
    popmq: fileURLToPath(popmqProgram),
    ...(servers === undefined ? {} : { servers }),
    ...(flags.data === undefined ? {} : { data: flags.data }),
    ...(flags.profile === undefined
      ? {}
      : { profiles: flags.profile === true ? './profiles' : flags.profile }),
    onRun: (run, isWarmUp) =>
      output.object({ workload, ...run, isWarmUp }, () => runText(run, isWarmUp)),
    signal,
  }
  const { profiles, ...report } = await runBench(request)
  for (const profiled of profiles) await output.object(profiled, () => profileText(profiled))
  await output.object(report, () => reportText(report))
}

function runText({ path, run, seconds, messagesPerSecond }: Run, isWarmUp: boolean): string {
  const what = isWarmUp ? 'warm-up' : `run ${run}`
  return `${what.padEnd(8)} ${path.padEnd(11)} ${messagesPerSecond} msg/s in ${seconds} s`
}

function reportText(report: Omit<BenchReport, 'profiles'>): string {
  const { workload, settings, machine, beside, ratio } = report
  const own = workload === 'many-topics' ? 'many topics' : 'popmq'
  const rows = [{ path: own, ...report }, ...(beside === undefined ? [] : [beside])]
  const table = formatTable(
    ['path', 'median msg/s', 'lowest', 'highest', 'spread'],
    rows.map(({ path, messagesPerSecond, low, high, spread }) => [
      path,
      ...[messagesPerSecond, low, high].map(String),
      `${(spread * 100).toFixed(1)} %`,
    ]),
  )
  const { sizeBytes, batch, acks, messages, runs, keyed } = settings
  return [
    '',
    `${workload}: ${messages} messages of ${sizeBytes} B in batches of ${batch}, acks ${acks}, ` +
      `8 partitions, ${keyed ? 'keyed' : 'without keys'}, ${runs} runs`,
    `${machine.system}, ${machine.processor}, ${machine.threads} threads, ${machine.memoryGiB} GiB, Node.js ${machine.node}`,
    `data in ${report.dataFolder}`,
    '',
    table.trimEnd(),
    ...(ratio === undefined ? [] : ['', `ratio ${ratio.toFixed(3)}`]),
  ].join('\n')
}

function profileText({ process, file, hottest }: Profiled): string {
  const rows = hottest.map(({ name, where, selfMs, share }) => [
    `${(share * 100).toFixed(1)} %`,
    String(selfMs),
    name,
    where,
  ])
  return `\n${process}: ${file}\n${formatTable(['self', 'ms', 'function', 'where'], rows).trimEnd()}`
}

function parseWorkload(text: string): (typeof workloads)[number] {
  const workload = workloads.find((name) => name === text)
  if (workload !== undefined) return workload
  const near = nearest(text, workloads)
  const hint =
    near === undefined ? `the workloads are ${workloads.join(', ')}` : `did you mean ${near}?`
  throw new MqError('invalid_request', `unknown workload ${JSON.stringify(text)}: ${hint}`)
}
