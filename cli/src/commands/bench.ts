import { fileURLToPath } from 'node:url'
import { type Command, Option } from 'commander'
import { nearest } from '@popmq/kit'
import { limits, MqError } from '@popmq/protocol'
import { parseAcks } from '../ack-level.ts'
import { durationBetween } from '../duration.ts'
import type { Invocation } from '../invocation.ts'
import type { Output } from '../output.ts'
import { parseSize } from '../size.ts'
import { type Act, asOption, wrongUsage } from '../usage.ts'
import { wholeNumber } from '../whole-number.ts'
import { benchCatchUp } from './bench-catch-up.ts'
import { benchCommit } from './bench-commit.ts'
import { benchDelayed } from './bench-delayed.ts'
import { benchFanOut } from './bench-fan-out.ts'
import {
  type BenchFlags,
  type BenchSurroundings,
  benchSurroundings,
  type BenchWorkload,
  benchWorkloads,
  checkBenchFlags,
  checkPeerFlags,
} from './bench-flags.ts'
import { benchGrowth } from './bench-growth.ts'
import { addIdleOptions, benchIdle } from './bench-idle.ts'
import { addRatedOptions, benchLatency } from './bench-latency.ts'
import { benchPaths } from './bench-paths.ts'
import { benchPeers } from './bench-peers.ts'
import { benchPop } from './bench-pop.ts'
import { addRebalanceOptions, benchRebalance } from './bench-rebalance.ts'
import { addRecoveryOptions, benchRecovery } from './bench-recovery.ts'
import { benchSend } from './bench-send.ts'
import { benchWakeUp } from './bench-wake-up.ts'

const mostConsumers = 1_000
const mostProcesses = 64
/** Rounds of wake-up take twice as long at least. */
const mostDelayMs = 2_000
const mostLeadMs = 86_400_000

export function addBenchCommand(program: Command, act: Act): void {
  const command = program
    .command('bench')
    .description('measure, on processes of its own unless --server is given')
    .argument('[workload]', benchWorkloads.join(', '), asOption(parseWorkload))
    .option('--size <bytes>', 'bytes of a value (default 100; recovery: 1000)', asOption(parseSize))
    .option(
      '--batch <n>',
      'messages given to the producer at once (default 1000); pop, pop-held: messages of a pop (default 32)',
      asOption(wholeNumber(1, limits.messagesPerRun)),
    )
    .option('--acks <level>', 'none, received, disk or quorum (default disk)', asOption(parseAcks))
    .option(
      '--messages <n>',
      'messages per run (default 500000; wake-up: 1000, delayed: 1000000, growth: 200000, send: 200000, backlog: 10000000)',
      asOption(wholeNumber(1, 100_000_000)),
    )
    .option(
      '--runs <n>',
      'timed runs, behind one that warms up (default 5; pop-held: 7 pairs, growth: 3 pairs, latency: 4, fan-out: 2, backlog, recovery: 3)',
      asOption(wholeNumber(1, 1_000)),
    )
    .option('--keyed', 'messages carry one of 1,000 keys (default for end-to-end)')
    .option('--no-keyed', 'messages carry no key (default for the others)')
    .addOption(
      new Option('--beside <path>', 'measure this beside it: stripped').choices(['stripped']),
    )
    .addOption(
      new Option(
        '--turns <by>',
        'many-topics: topics take turns by batch (default) or by message',
      ).choices(['batch', 'message']),
    )
  addRebalanceOptions(addRecoveryOptions(command))
  addRatedOptions(addIdleOptions(addPopOptions(command)))
    .option(
      '--groups <n>',
      'commit: groups (default 1000); fan-out: groups that read the same (default 8)',
      asOption(wholeNumber(1, 10_000)),
    )
    .option(
      '--partitions <n>',
      'commit, rebalance: partitions of the topic (default 64)',
      asOption(wholeNumber(1, limits.partitionsPerTopic)),
    )
    .option(
      '--rounds <n>',
      'commit: commits of each group, one after the other (default 20); rebalance: times that one leaves, and one is killed (default 3)',
      asOption(wholeNumber(1, 1_000_000)),
    )
    .option(
      '--zookeeper <host:port,…>',
      'commit: the ZooKeeper that keeps progress (default: the embedded registry)',
    )
    .option('--peers', 'end-to-end, pop, or neither for both: beside other queues, in the same run')
    .option(
      '--only <names>',
      'with --peers: those whose names begin so, with semicolons between',
      asOption((text: string) => text.split(';').map((name) => name.trim())),
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

function addPopOptions(command: Command): Command {
  return command
    .option(
      '--consumers <n>',
      'pop, pop-held: consumers of the group (default 8)',
      asOption(wholeNumber(1, mostConsumers)),
    )
    .option(
      '--processes <n>',
      'pop, pop-held: client processes that share the consumers (default 1); fan-out: the groups (default 2)',
      asOption(wholeNumber(1, mostProcesses)),
    )
    .option(
      '--delay <duration>',
      'wake-up: how long a message is delayed, and leased (default 50ms)',
      asOption(durationBetween(1, mostDelayMs)),
    )
    .option(
      '--lead <duration>',
      'delayed: how long after the first is sent all are due (default: reckoned)',
      asOption(durationBetween(1, mostLeadMs)),
    )
}

const popmqProgram = new URL('../../bin/popmq.js', import.meta.url)

/** As the command line has them: how large values are depends on the workload. */
type Told = Omit<BenchFlags, 'size'> & { readonly size?: number }

async function bench(
  invocation: Invocation,
  named: BenchWorkload | undefined,
  told: Told,
): Promise<void> {
  const workload = named ?? (told.peers === true ? 'peers' : undefined)
  if (workload === undefined)
    throw wrongUsage(`which workload? They are ${benchWorkloads.join(', ')}`)
  const flags: BenchFlags = { size: workload === 'recovery' ? 1_000 : 100, ...told }
  checkBenchFlags(workload, flags)
  checkPeerFlags(flags, { isBesidePeers: flags.peers === true || workload === 'peers' })
  const popmq = fileURLToPath(popmqProgram)
  if (workload === 'commit') return benchCommit(invocation, popmq, flags)
  const { leastSizeBytes, peerWorkloads } = await import('@popmq/bench')
  if (flags.size < leastSizeBytes)
    throw wrongUsage(`--size: a value has at least ${leastSizeBytes} bytes: its number`)
  const { settings, signal, output } = invocation
  if ((workload === 'idle' || workload === 'growth') && settings.serverFlag !== undefined)
    throw wrongUsage(`--server is not for ${workload}: it looks at processes of its own`)
  if (workload === 'recovery' && settings.serverFlag !== undefined)
    throw wrongUsage('--server is not for recovery: it stops and kills a server of its own')
  const given = benchSurroundings(flags, { popmq, servers: settings.serverFlag, signal })
  if (flags.peers === true || workload === 'peers') {
    const workloads = peerWorkloads.filter((each) => workload === 'peers' || workload === each)
    return benchPeers(invocation, { workloads, flags, given })
  }
  return benchAlone(output, { workload, flags, given })
}

interface Asked {
  readonly workload: Exclude<BenchWorkload, 'commit' | 'peers'>
  readonly flags: BenchFlags
  readonly given: BenchSurroundings
}

async function benchAlone(output: Output, { workload, flags, given }: Asked): Promise<void> {
  switch (workload) {
    case 'pop':
    case 'pop-held':
      return benchPop(output, { workload, flags, given })
    case 'wake-up':
      return benchWakeUp(output, { flags, given })
    case 'latency':
      return benchLatency(output, { flags, given })
    case 'send':
      return benchSend(output, { flags, given })
    case 'fan-out':
      return benchFanOut(output, { flags, given })
    case 'delayed':
      return benchDelayed(output, { flags, given })
    case 'idle':
      return benchIdle(output, { flags, given })
    case 'growth':
      return benchGrowth(output, { flags, given })
    case 'backlog':
      return benchCatchUp(output, { flags, given })
    case 'recovery':
      return benchRecovery(output, { flags, given })
    case 'rebalance':
      return benchRebalance(output, { flags, given })
    case 'produce':
    case 'end-to-end':
    case 'many-topics':
      return benchPaths(output, { workload, flags, given })
    default:
      return workload satisfies never
  }
}

function parseWorkload(text: string): BenchWorkload {
  const workload = benchWorkloads.find((name) => name === text)
  if (workload !== undefined) return workload
  const near = nearest(text, benchWorkloads)
  const hint =
    near === undefined ? `the workloads are ${benchWorkloads.join(', ')}` : `did you mean ${near}?`
  throw new MqError('invalid_request', `unknown workload ${JSON.stringify(text)}: ${hint}`)
}
