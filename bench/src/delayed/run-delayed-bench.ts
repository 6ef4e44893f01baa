import { tmpdir } from 'node:os'
import { type Machine, thisMachine } from '../machine.ts'
import { type ClusterRequest, withCluster } from '../measured-cluster.ts'
import { type Profiled, readProfiles } from '../profiled.ts'
import type { Span } from '../profile.ts'
import { growthPerMessage } from './broker-memory.ts'
import { type DelayedRun, type DelayedSettings, runDelayed } from './delayed-run.ts'

export interface DelayedBenchRequest extends ClusterRequest, DelayedSettings {}

export interface DelayedBenchReport {
  readonly workload: 'delayed'
  readonly settings: DelayedSettings
  readonly machine: Machine
  readonly dataFolder: string
  /** As many messages without a delay, sent before: what delays are compared with. */
  readonly producedPerSecond: number
  /** Sent with a delay, acks disk. */
  readonly scheduledPerSecond: number
  /** Becoming visible, from when all were due to when the last one was visible. */
  readonly firedPerSecond: number
  readonly memory: DelayedRun['memory']
  /** Bytes for each pending message. */
  readonly growth: { readonly rssBytes: number; readonly usedBytes: number }
  readonly profiles: readonly Profiled[]
}

/** Measures. @throws MqError `aborted`, and what `runDelayed` throws */
export async function runDelayedBench(request: DelayedBenchRequest): Promise<DelayedBenchReport> {
  const startedAt = Date.now()
  const { sizeBytes, batch, messages } = request
  const run = await withCluster(request, (cluster) => runDelayed(request, cluster))
  const { produced, scheduled, fired, leadMs, memory } = run
  const rate = ({ fromMs, toMs }: Span): number =>
    Math.round((messages * 1_000) / Math.max(1, toMs - fromMs))
  return {
    workload: 'delayed',
    settings: { sizeBytes, batch, messages, leadMs },
    machine: thisMachine(),
    dataFolder: request.data ?? tmpdir(),
    producedPerSecond: rate(produced),
    scheduledPerSecond: rate(scheduled),
    firedPerSecond: rate(fired),
    memory,
    growth: growthPerMessage(memory.before, memory.pending),
    profiles: readProfiles(request.profiles, { startedAt, during: [scheduled, fired] }),
  }
}
