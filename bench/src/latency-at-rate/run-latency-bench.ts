import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { type Machine, thisMachine } from '../machine.ts'
import { type ClusterRequest, withCluster } from '../measured-cluster.ts'
import { pairRatios } from '../pop/run-pop-bench.ts'
import type { Span } from '../profile.ts'
import { type Profiled, readProfiles } from '../profiled.ts'
import { median } from '../summary.ts'
import { latencyOfAll, type TailLatency } from './latency-histogram.ts'
import { LatencyRounds, type LatencySettings, type PopmqRound } from './latency-rounds.ts'

/** One timed run of either side. */
export interface LatencyRun extends TailLatency {
  readonly path: 'popmq' | 'bare'
  readonly run: number
}

export interface LatencyBenchRequest extends ClusterRequest, LatencySettings {
  /** Told of each run as it ends. */
  readonly onRun: (run: LatencyRun, isWarmUp: boolean) => Promise<void>
}

export interface LatencyBenchReport {
  readonly workload: 'latency'
  readonly settings: LatencySettings
  readonly machine: Machine
  readonly dataFolder: string
  /** How fast messages were sent: less than asked for when the sender could not keep up. */
  readonly messagesPerSecond: number
  /** End to end: from when each was to be sent until a consumer had it. */
  readonly received: TailLatency
  /** From when each was to be sent until it was acknowledged. */
  readonly acknowledged: TailLatency
  /** How late each was sent: in both of the above, and the measuring side's own share. */
  readonly late: TailLatency
  /** The bare loop of write and fdatasync: from when each was due to the end of its sync. */
  readonly beside: TailLatency & { readonly path: 'bare' }
  /** p99 received ÷ p99 bare, of each pair of runs. */
  readonly pairs: readonly number[]
  /** The median of the pairs. */
  readonly ratio: number
  /** The ratio that is aimed at, at most. */
  readonly mostRatio: number
  readonly profiles: readonly Profiled[]
}

const mostRatio = 2

/** What was recorded, run by run. */
interface Measured {
  readonly popmq: readonly PopmqRound[]
  /** Histograms. */
  readonly bare: readonly string[]
  readonly spans: readonly Span[]
}

/** Measures. @throws MqError `aborted`, and what the processes throw */
export async function runLatencyBench(request: LatencyBenchRequest): Promise<LatencyBenchReport> {
  const startedAt = Date.now()
  const folder = await mkdtemp(path.join(request.data ?? tmpdir(), 'popmq-bench-bare-'))
  try {
    const measured = await measureAll(request, path.join(folder, 'bare.log'))
    const profiles = readProfiles(request.profiles, { startedAt, during: measured.spans })
    return { ...reportOf(request, measured), profiles }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** Run 0 warms up: it is told and not counted. */
function measureAll(request: LatencyBenchRequest, file: string): Promise<Measured> {
  return withCluster(request, async (cluster) => {
    const rounds = await LatencyRounds.open(request, cluster, file)
    const popmq: PopmqRound[] = []
    const bare: string[] = []
    for (let run = 0; run <= request.runs; run += 1) {
      const isWarmUp = run === 0
      const sides = {
        popmq: async (): Promise<string> => {
          const round = await rounds.popmq()
          if (!isWarmUp) popmq.push(round)
          return round.received
        },
        bare: async (): Promise<string> => {
          const { synced } = await rounds.bare()
          if (!isWarmUp) bare.push(synced)
          return synced
        },
      }
      const paths = ['popmq', 'bare'] as const
      // The sides of a pair take turns at being first.
      for (const side of run % 2 === 0 ? paths : paths.toReversed())
        await request.onRun({ path: side, run, ...latencyOfAll([await sides[side]()]) }, isWarmUp)
    }
    if (request.servers !== undefined) await rounds.removeAll()
    return { popmq, bare, spans: rounds.spans.slice(1) }
  })
}

function reportOf(
  { sizeBytes, rate, seconds, runs, data }: LatencyBenchRequest,
  { popmq, bare }: Measured,
): Omit<LatencyBenchReport, 'profiles'> {
  const p99s = (encoded: readonly string[]): readonly number[] =>
    encoded.map((one) => latencyOfAll([one]).p99Ms)
  const all = (of: 'received' | 'acknowledged' | 'late'): readonly string[] =>
    popmq.map((round) => round[of])
  return {
    workload: 'latency',
    settings: { sizeBytes, rate, seconds, runs },
    machine: thisMachine(),
    dataFolder: data ?? tmpdir(),
    messagesPerSecond: Math.round(median(popmq.map((round) => round.messagesPerSecond))),
    received: latencyOfAll(all('received')),
    acknowledged: latencyOfAll(all('acknowledged')),
    late: latencyOfAll(all('late')),
    beside: { path: 'bare', ...latencyOfAll(bare) },
    ...pairRatios(p99s(all('received')), p99s(bare)),
    mostRatio,
  }
}
