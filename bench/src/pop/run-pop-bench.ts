import { tmpdir } from 'node:os'
import { type Machine, thisMachine } from '../machine.ts'
import { type ClusterRequest, type MeasuredCluster, withCluster } from '../measured-cluster.ts'
import { type Profiled, readProfiles } from '../profiled.ts'
import type { Span } from '../profile.ts'
import { median, rounded, type Summary, summarize } from '../summary.ts'
import { type PopRun, PopRuns, type PopSettings } from './pop-runs.ts'

export interface PopBenchRequest extends ClusterRequest, PopSettings {
  readonly workload: 'pop' | 'pop-held'
  /** Told of each run as it ends. */
  readonly onRun: (run: PopRun, isWarmUp: boolean) => Promise<void>
}

/** Of pop-held: `Summary` is that of the runs with one message held. */
export interface PopBenchReport extends Summary {
  readonly workload: 'pop' | 'pop-held'
  readonly settings: PopSettings
  readonly machine: Machine
  readonly dataFolder: string
  readonly beside?: Summary & { readonly path: PopRun['path'] }
  /** With one held ÷ with none, of each pair of runs. */
  readonly pairs?: readonly number[]
  /** The median of the pairs. */
  readonly ratio?: number
  readonly profiles: readonly Profiled[]
}

/** Measures. @throws MqError `aborted`, what `PopRuns.measure` throws, and what the processes throw */
export async function runPopBench(request: PopBenchRequest): Promise<PopBenchReport> {
  const startedAt = Date.now()
  const { runs, spans } = await withCluster(request, (cluster) => measureAll(request, cluster))
  const profiles = readProfiles(request.profiles, { startedAt, during: spans })
  return { ...reportOf(request, runs), profiles }
}

/** Run 0 warms up: it is told and not counted. */
async function measureAll(
  request: PopBenchRequest,
  cluster: MeasuredCluster,
): Promise<{ runs: readonly PopRun[]; spans: readonly Span[] }> {
  const { workload, onRun } = request
  const measured = await PopRuns.open(cluster, request)
  const runs: PopRun[] = []
  const paths = workload === 'pop' ? (['pop'] as const) : (['one held', 'none held'] as const)
  for (let run = 0; run <= request.runs; run += 1) {
    // The sides of a pair take turns at being first.
    for (const path of run % 2 === 0 ? paths : paths.toReversed()) {
      const told = await measured.measure(path, run)
      if (run > 0) runs.push(told)
      await onRun(told, run === 0)
    }
  }
  if (request.servers !== undefined) await measured.removeAll()
  return { runs, spans: measured.spans }
}

function reportOf(
  { workload, sizeBytes, batch, messages, consumers, processes, ...request }: PopBenchRequest,
  runs: readonly PopRun[],
): Omit<PopBenchReport, 'profiles'> {
  const ratesOf = (path: PopRun['path']): readonly number[] =>
    runs
      .filter((run) => run.path === path)
      .toSorted((a, b) => a.run - b.run)
      .map(({ messagesPerSecond }) => messagesPerSecond)
  const settings = { sizeBytes, batch, messages, consumers, processes, runs: request.runs }
  const dataFolder = request.data ?? tmpdir()
  const told = { workload, settings, machine: thisMachine(), dataFolder }
  if (workload === 'pop') return { ...told, ...summarize(ratesOf('pop')) }
  const held = ratesOf('one held')
  const plain = ratesOf('none held')
  return {
    ...told,
    beside: { path: 'none held', ...summarize(plain) },
    ...pairRatios(held, plain),
    ...summarize(held),
  }
}

/** Neighbours in time are compared with one another: what else the machine does meets both. */
export function pairRatios(
  rates: readonly number[],
  beside: readonly number[],
): { readonly pairs: readonly number[]; readonly ratio: number } {
  const ratios = rates.map((rate, index) => rate / (beside[index] ?? NaN))
  return { pairs: ratios.map(rounded), ratio: rounded(median(ratios)) }
}
