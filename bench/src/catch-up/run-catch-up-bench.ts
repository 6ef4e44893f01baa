import { tmpdir } from 'node:os'
import { type Machine, thisMachine } from '../machine.ts'
import { type ClusterRequest, withCluster } from '../measured-cluster.ts'
import { type Profiled, readProfiles } from '../profiled.ts'
import type { Span } from '../profile.ts'
import { median, rounded } from '../summary.ts'
import { type CatchUpRun, type CatchUpSettings, runCatchUp } from './catch-up-run.ts'

export interface CatchUpBenchRequest extends ClusterRequest, CatchUpSettings {}

export interface CatchUpBenchReport {
  readonly workload: 'backlog'
  readonly settings: CatchUpSettings
  readonly machine: Machine
  readonly dataFolder: string
  /** Sending the backlog, acks disk. */
  readonly storedPerSecond: number
  /** Reading the backlog from its first message to its last, beside live traffic. */
  readonly messagesPerSecond: number
  /** How long that took: the median, as of the rate. */
  readonly seconds: number
  /** From when a message was due to when it was received. */
  readonly live: CatchUpRun['live']
  /** The 99th percentile beside a catch-up ÷ that just before it. */
  readonly pairs: readonly number[]
  /** The median of the pairs. */
  readonly ratio: number
  readonly profiles: readonly Profiled[]
}

/** Measures. @throws MqError `aborted`, and what `runCatchUp` throws */
export async function runCatchUpBench(request: CatchUpBenchRequest): Promise<CatchUpBenchReport> {
  const startedAt = Date.now()
  const { sizeBytes, messages, batch, rate, seconds, runs } = request
  const run = await withCluster(request, (cluster) => runCatchUp(request, cluster))
  const { stored, caughtUp, live } = run
  const tookMs = median(caughtUp.map(lengthMs))
  const ratios = run.pairs.map(({ alone, beside }) => beside.p99Ms / alone.p99Ms)
  const perSecond = (ms: number): number => Math.round((messages * 1_000) / ms)
  return {
    workload: 'backlog',
    settings: { sizeBytes, messages, batch, rate, seconds, runs },
    machine: thisMachine(),
    dataFolder: request.data ?? tmpdir(),
    storedPerSecond: perSecond(lengthMs(stored)),
    messagesPerSecond: perSecond(tookMs),
    seconds: rounded(tookMs / 1_000),
    live,
    pairs: ratios.map(rounded),
    ratio: rounded(median(ratios)),
    profiles: readProfiles(request.profiles, { startedAt, during: caughtUp }),
  }
}

function lengthMs({ fromMs, toMs }: Span): number {
  return Math.max(1, toMs - fromMs)
}
