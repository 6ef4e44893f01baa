import { tmpdir } from 'node:os'
import { latencyOfAll, type TailLatency } from '../latency-at-rate/latency-histogram.ts'
import { type Machine, thisMachine } from '../machine.ts'
import { type ClusterRequest, withCluster } from '../measured-cluster.ts'
import type { Span } from '../profile.ts'
import { type Profiled, readProfiles } from '../profiled.ts'
import { median, rounded } from '../summary.ts'
import { type BrokerWork, cpuUsEach, sumOfWork } from './broker-work.ts'
import {
  type FanOutPath,
  type FanOutRound,
  FanOutRounds,
  type FanOutSettings,
} from './fan-out-rounds.ts'

/** Of one side: one timed run, or all of them. */
export interface FanOutFigures {
  readonly path: FanOutPath
  /** How fast messages were sent: less than asked for when the sender could not keep up. */
  readonly messagesPerSecond: number
  /** To all groups together, until the last one had all. */
  readonly deliveredPerSecond: number
  /** Of all groups together: from when each message was sent until a group had it. */
  readonly lag: TailLatency
  readonly work: BrokerWork
  /** µs of the brokers' processor time for each message sent, and for each one delivered to a group. */
  readonly cpuUsPerSent: number
  readonly cpuUsPerDelivered: number
  readonly messagesPerSync: number
}

export interface FanOutRun extends FanOutFigures {
  readonly run: number
}

export interface FanOutBenchRequest extends ClusterRequest, FanOutSettings {
  /** Told of each run as it ends. */
  readonly onRun: (run: FanOutRun, isWarmUp: boolean) => Promise<void>
}

/** `FanOutFigures` are those with all groups. */
export interface FanOutBenchReport extends FanOutFigures {
  readonly workload: 'fan-out'
  readonly settings: FanOutSettings
  readonly machine: Machine
  readonly dataFolder: string
  /** How late messages were sent: the measuring side's own share, which no lag has in it. */
  readonly late: TailLatency
  /** The lag of each group. */
  readonly lags: readonly TailLatency[]
  /** The same with one group. */
  readonly beside: FanOutFigures
  /** With all groups ÷ with one; 0 where there is nothing to divide by. */
  readonly ratios: {
    readonly lagP99: number
    readonly cpuPerSent: number
    readonly cpuPerDelivered: number
    readonly diskReadBytes: number
  }
  /** µs that each delivery to a further group costs the brokers. */
  readonly cpuUsPerFurther: number
  readonly profiles: readonly Profiled[]
}

/** What was recorded of the counted runs. */
interface Measured {
  readonly rounds: Readonly<Record<FanOutPath, readonly FanOutRound[]>>
  readonly messages: number
  readonly spans: readonly Span[]
}

/** Measures. @throws MqError `aborted`, `corrupt_record` when a group misses a message, and what the processes throw */
export async function runFanOutBench(request: FanOutBenchRequest): Promise<FanOutBenchReport> {
  const startedAt = Date.now()
  const measured = await measureAll(request)
  const profiles = readProfiles(request.profiles, { startedAt, during: measured.spans })
  return { ...reportOf(request, measured), profiles }
}

/** Run 0 warms up: it is told and not counted. */
function measureAll(request: FanOutBenchRequest): Promise<Measured> {
  return withCluster(request, async (cluster) => {
    const rounds = await FanOutRounds.open(request, cluster)
    const { messages } = rounds
    const paths = ['all groups', 'one group'] as const
    const counted: Record<FanOutPath, FanOutRound[]> = { 'all groups': [], 'one group': [] }
    for (let run = 0; run <= request.runs; run += 1) {
      // The sides of a pair take turns at being first.
      for (const path of run % 2 === 0 ? paths : paths.toReversed()) {
        const round = await rounds.measure(path)
        if (run > 0) counted[path].push(round)
        await request.onRun({ run, ...figuresOf(path, [round], messages) }, run === 0)
      }
    }
    if (request.servers !== undefined) await rounds.removeAll()
    // Profiles tell of what is looked at: all groups reading, the warm-up left out.
    const ofAll = rounds.spans.filter(({ path }) => path === 'all groups').slice(1)
    return { rounds: counted, messages, spans: ofAll.map(({ span }) => span) }
  })
}

/** `messages` are those of each round. */
function figuresOf(
  path: FanOutPath,
  rounds: readonly FanOutRound[],
  messages: number,
): FanOutFigures {
  const lag = latencyOfAll(rounds.flatMap(({ lags }) => lags))
  const work = sumOfWork(rounds.map((round) => round.work))
  const seconds = rounds.reduce((sum, round) => sum + round.seconds, 0)
  return {
    path,
    messagesPerSecond: Math.round(median(rounds.map(({ paced }) => paced.messagesPerSecond))),
    deliveredPerSecond: Math.round(lag.count / seconds),
    lag,
    work,
    cpuUsPerSent: cpuUsEach(work, messages * rounds.length),
    cpuUsPerDelivered: cpuUsEach(work, lag.count),
    messagesPerSync: rounded((messages * rounds.length) / Math.max(1, work.syncs)),
  }
}

function reportOf(
  request: FanOutBenchRequest,
  { rounds, messages }: Measured,
): Omit<FanOutBenchReport, 'profiles'> {
  const { sizeBytes, rate, seconds, groups, processes, runs } = request
  const all = figuresOf('all groups', rounds['all groups'], messages)
  const one = figuresOf('one group', rounds['one group'], messages)
  const of = (whole: number, part: number): number => (part === 0 ? 0 : rounded(whole / part))
  const cpuSeconds = all.work.cpuSeconds - one.work.cpuSeconds
  return {
    workload: 'fan-out',
    settings: { sizeBytes, rate, seconds, groups, processes, runs },
    machine: thisMachine(),
    dataFolder: request.data ?? tmpdir(),
    ...all,
    late: latencyOfAll(rounds['all groups'].map(({ paced }) => paced.late)),
    lags: Array.from({ length: groups }, (_, group) =>
      latencyOfAll(rounds['all groups'].map(({ lags }) => lags[group] ?? '')),
    ),
    beside: one,
    ratios: {
      lagP99: of(all.lag.p99Ms, one.lag.p99Ms),
      cpuPerSent: of(all.cpuUsPerSent, one.cpuUsPerSent),
      cpuPerDelivered: of(all.cpuUsPerDelivered, one.cpuUsPerDelivered),
      diskReadBytes: of(all.work.diskReadBytes, one.work.diskReadBytes),
    },
    cpuUsPerFurther: cpuUsEach({ cpuSeconds }, all.lag.count - one.lag.count),
  }
}
