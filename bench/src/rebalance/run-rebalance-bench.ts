import { tmpdir } from 'node:os'
import { type Latency, latencyOf } from '../latency.ts'
import { type Machine, thisMachine } from '../machine.ts'
import { type ClusterRequest, withCluster } from '../measured-cluster.ts'
import {
  changes,
  type MembershipChange,
  type OnChange,
  type RebalanceSettings,
  runRebalances,
} from './rebalance-run.ts'

export interface RebalanceBenchRequest extends Omit<ClusterRequest, 'profiles'>, RebalanceSettings {
  readonly onChange: OnChange
}

/** All changes of one kind. */
export interface ChangeFigures {
  readonly changes: number
  /** Partitions that moved, and how few could have. */
  readonly moved: number
  readonly least: number
  /** For each that moved how long nobody read it, as the coordinator recorded it. */
  readonly dark: Latency
  /** From the last message of its old owner to the first of its new one, as members saw it. */
  readonly gap: Latency
}

export interface RebalanceBenchReport {
  readonly workload: 'rebalance'
  readonly settings: RebalanceSettings
  readonly machine: Machine
  readonly dataFolder: string
  /** How far messages of one partition lie apart: no gap is seen any finer. */
  readonly messageEveryMs: number
  readonly join: ChangeFigures
  readonly leave: ChangeFigures
  readonly kill: ChangeFigures
}

/** Measures. @throws MqError `aborted`, and what `runRebalances` throws */
export async function runRebalanceBench(
  request: RebalanceBenchRequest,
): Promise<RebalanceBenchReport> {
  const { sizeBytes, members, partitions, rate, rounds, sessionMs, onChange } = request
  const results = await withCluster(request, (cluster) =>
    runRebalances(request, { cluster, onChange }),
  )
  const [join, leave, kill] = changes.map((change) =>
    figuresOf(results.filter((result) => result.change === change)),
  )
  return {
    workload: 'rebalance',
    settings: { sizeBytes, members, partitions, rate, rounds, sessionMs },
    machine: thisMachine(),
    dataFolder: request.data ?? tmpdir(),
    messageEveryMs: (partitions * 1_000) / rate,
    join: join ?? figuresOf([]),
    leave: leave ?? figuresOf([]),
    kill: kill ?? figuresOf([]),
  }
}

export function figuresOf(results: readonly MembershipChange[]): ChangeFigures {
  const moves = results.flatMap((result) => result.moves)
  return {
    changes: results.length,
    moved: moves.length,
    least: results.reduce((sum, { least }) => sum + least, 0),
    dark: latencyOf(moves.map(({ darkMs }) => darkMs)),
    gap: latencyOf(moves.flatMap(({ gapMs }) => gapMs ?? [])),
  }
}
