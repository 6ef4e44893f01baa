import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { MqError } from '@popmq/client'
import { type Machine, thisMachine } from '../machine.ts'
import { type ClusterRequest, type MeasuredCluster, withCluster } from '../measured-cluster.ts'
import { whyNoUsage } from '../process-usage.ts'
import { profileFlags, type Profiled, readProfiles } from '../profiled.ts'
import { ServerProcess } from '../server-process.ts'
import { median, rounded } from '../summary.ts'
import { GrownLoad, type Load, type LoadCost } from './grown-load.ts'

export const dimensions = ['messages', 'partitions', 'groups', 'connections'] as const
export type Dimension = (typeof dimensions)[number]

export interface GrowthSettings {
  readonly sizeBytes: number
  /** Messages given to the producer at once. */
  readonly batch: number
  /** Of the load that is not grown. */
  readonly messages: number
  /** Pairs of runs of each dimension, behind one that warms up. */
  readonly runs: number
}

export interface GrowthRun extends LoadCost {
  readonly dimension: Dimension
  readonly times: 1 | 10
  readonly run: number
}

/** What ten times as much of one dimension costs the server; all others stay as they are. */
export interface Growth {
  readonly dimension: Dimension
  readonly from: number
  readonly to: number
  /** Medians. */
  readonly fromCpuMs: number
  readonly toCpuMs: number
  /** Of each pair of runs, and their median. */
  readonly pairs: readonly number[]
  readonly ratio: number
}

export interface GrowthBenchRequest extends Omit<ClusterRequest, 'servers'>, GrowthSettings {
  /** Told of each run as it ends. */
  readonly onRun: (run: GrowthRun, isWarmUp: boolean) => Promise<void>
}

export interface GrowthBenchReport {
  readonly workload: 'growth'
  readonly settings: GrowthSettings
  readonly machine: Machine
  readonly dataFolder: string
  readonly base: Load
  readonly growths: readonly Growth[]
  readonly profiles: readonly Profiled[]
}

const times = 10
const partitions = 8
const groups = 1
const connections = 10

/**
 * Measures what the server spends when one thing is ten times as much.
 * @throws MqError `aborted`, `unreachable` where the system does not tell what processes use, and what `GrownLoad.run` throws
 */
export async function runGrowthBench(request: GrowthBenchRequest): Promise<GrowthBenchReport> {
  const startedAt = Date.now()
  const why = whyNoUsage()
  if (why !== undefined) throw new MqError('unreachable', why)
  const { sizeBytes, batch, messages, runs } = request
  const base: Load = { messages, partitions, groups, connections }
  const told = await withServer(request, (cluster, pid) =>
    measureAll(request, { cluster, pid, base }),
  )
  return {
    workload: 'growth',
    settings: { sizeBytes, batch, messages, runs },
    machine: thisMachine(),
    dataFolder: request.data ?? tmpdir(),
    base,
    growths: dimensions.map((dimension) => growthOf(dimension, base[dimension], told)),
    profiles: readProfiles(request.profiles, { startedAt }),
  }
}

async function withServer<R extends object>(
  request: GrowthBenchRequest,
  measure: (cluster: MeasuredCluster, pid: number) => Promise<R>,
): Promise<R> {
  const { popmq, profiles } = request
  const data = await mkdtemp(path.join(request.data ?? tmpdir(), 'popmq-bench-'))
  try {
    const nodeFlags = profileFlags(profiles)('popmq-server')
    const server = await ServerProcess.start({ popmq, data: path.join(data, 'data'), nodeFlags })
    try {
      const { servers, pid, lost } = server
      return await withCluster({ ...request, servers }, async (cluster) => {
        const first = await Promise.race([measure(cluster, pid), lost])
        if (first instanceof MqError) throw first
        return first
      })
    } finally {
      await server.close()
    }
  } finally {
    await rm(data, { recursive: true, force: true })
  }
}

/** Round 0 warms up: it is told and not counted. */
async function measureAll(
  { sizeBytes, batch, runs, onRun }: GrowthBenchRequest,
  { cluster, pid, base }: { cluster: MeasuredCluster; pid: number; base: Load },
): Promise<readonly GrowthRun[]> {
  const load = await GrownLoad.open({ cluster, pid, sizeBytes, batch })
  const told: GrowthRun[] = []
  for (let run = 0; run <= runs; run += 1) {
    for (const dimension of dimensions) {
      // The sides of a pair take turns at being first.
      for (const by of run % 2 === 0 ? ([1, times] as const) : ([times, 1] as const)) {
        const cost = await load.run({ ...base, [dimension]: base[dimension] * by })
        const one: GrowthRun = { dimension, times: by, run, ...cost }
        if (run > 0) told.push(one)
        await onRun(one, run === 0)
      }
    }
  }
  return told
}

/** Of the pairs of a dimension that was `from` in the load that is not grown. */
export function growthOf(dimension: Dimension, from: number, runs: readonly GrowthRun[]): Growth {
  const costsOf = (by: GrowthRun['times']): readonly number[] =>
    runs
      .filter((run) => run.dimension === dimension && run.times === by)
      .toSorted((a, b) => a.run - b.run)
      .map(({ cpuMs }) => cpuMs)
  const [one, ten] = [costsOf(1), costsOf(times)]
  const pairs = ten.map((cpuMs, index) => rounded(cpuMs / (one[index] ?? NaN)))
  return {
    dimension,
    from,
    to: from * times,
    fromCpuMs: rounded(median(one)),
    toCpuMs: rounded(median(ten)),
    pairs,
    ratio: rounded(median(pairs)),
  }
}
