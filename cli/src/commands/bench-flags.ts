/** The flags of `popmq bench`: which workload takes which, and what each takes them to be. */
import type { AckLevel } from '@popmq/protocol'
import { wrongUsage } from '../usage.ts'

export const benchWorkloads = [
  'produce',
  'end-to-end',
  'many-topics',
  'commit',
  'pop',
  'pop-held',
  'wake-up',
  'latency',
  'send',
  'fan-out',
  'delayed',
  'idle',
  'growth',
  'backlog',
  'recovery',
  'rebalance',
  'peers',
] as const
export type BenchWorkload = (typeof benchWorkloads)[number]

export interface BenchFlags {
  readonly size: number
  readonly batch?: number
  readonly acks?: AckLevel
  readonly messages?: number
  readonly runs?: number
  readonly keyed?: boolean
  readonly beside?: 'stripped'
  readonly turns?: 'batch' | 'message'
  readonly data?: string
  readonly profile?: string | true
  readonly consumers?: number
  readonly processes?: number
  readonly delay?: number
  readonly lead?: number
  readonly connections?: number
  readonly polls?: number
  readonly groups?: number
  readonly rate?: number
  readonly seconds?: number
  readonly partitions?: number
  readonly members?: number
  readonly session?: number
  readonly megabytes?: number
  readonly rounds?: number
  readonly zookeeper?: string
  readonly peers?: true
  readonly only?: readonly string[]
}

const paths = ['produce', 'end-to-end', 'many-topics'] as const
const pops = ['pop', 'pop-held'] as const
const rated = ['latency', 'fan-out'] as const

/** Flags that only these workloads take; the others are for all. */
const takenBy: Partial<Record<keyof BenchFlags, readonly BenchWorkload[]>> = {
  batch: [...paths, ...pops, 'delayed', 'growth', 'backlog', 'recovery'],
  acks: [...paths, 'peers'],
  messages: [...paths, ...pops, 'wake-up', 'delayed', 'growth', 'send', 'backlog', 'peers'],
  runs: [...paths, ...pops, 'growth', ...rated, 'send', 'backlog', 'recovery', 'peers'],
  keyed: paths,
  beside: ['produce', 'end-to-end'],
  turns: ['many-topics'],
  profile: [...paths, ...pops, 'wake-up', 'delayed', 'idle', 'growth', ...rated, 'send', 'backlog'],
  consumers: [...pops, 'peers'],
  processes: [...pops, 'fan-out', 'peers'],
  delay: ['wake-up'],
  lead: ['delayed'],
  connections: ['idle'],
  polls: ['idle'],
  groups: ['commit', 'fan-out'],
  rate: [...rated, 'backlog', 'rebalance'],
  seconds: [...rated, 'backlog'],
  partitions: ['commit', 'rebalance'],
  rounds: ['commit', 'rebalance'],
  members: ['rebalance'],
  session: ['rebalance'],
  megabytes: ['recovery'],
  zookeeper: ['commit'],
  peers: ['end-to-end', 'pop', 'peers'],
  only: ['end-to-end', 'pop', 'peers'],
}

/** @throws CommanderError for a flag that is for other workloads */
export function checkBenchFlags(workload: BenchWorkload, flags: BenchFlags): void {
  for (const [flag, workloads] of Object.entries(takenBy)) {
    if (!(flag in flags) || workloads.includes(workload)) continue
    const name = flag === 'keyed' ? '--keyed and --no-keyed are' : `--${flag} is`
    throw wrongUsage(`${name} for ${workloads.join(', ')}`)
  }
}

/** Beside peers nothing else stands, and all messages have keys. */
const notBesidePeers = ['beside', 'keyed', 'profile'] as const

/** @throws CommanderError for a flag that peers have no use for, or that is for them alone */
export function checkPeerFlags(
  flags: BenchFlags,
  { isBesidePeers }: { isBesidePeers: boolean },
): void {
  if (!isBesidePeers && flags.only !== undefined) throw wrongUsage('--only goes with --peers')
  const wrong = isBesidePeers ? notBesidePeers.find((flag) => flag in flags) : undefined
  if (wrong !== undefined) throw wrongUsage(`--${wrong} does not go with --peers`)
}

/** What the programs that measure are told alike. */
export interface BenchSurroundings {
  readonly popmq: string
  readonly servers?: string
  readonly data?: string
  readonly profiles?: string
  readonly signal: AbortSignal
}

export function benchSurroundings(
  flags: BenchFlags,
  { popmq, servers, signal }: { popmq: string; servers: string | undefined; signal: AbortSignal },
): BenchSurroundings {
  const { data, profile } = flags
  return {
    popmq,
    signal,
    ...(servers === undefined ? {} : { servers }),
    ...(data === undefined ? {} : { data }),
    ...(profile === undefined ? {} : { profiles: profile === true ? './profiles' : profile }),
  }
}
