import { between } from '@popmq/kit'
import type { SeededRandom } from '@popmq/kit/testing'

export const faultKinds = [
  'broker_kill',
  'broker_power_cut',
  'broker_power_cut_at_write',
  'broker_restart',
  'coordinator_kill',
  'coordinator_power_cut',
  'network_reset',
  'network_cut',
  'network_spikes',
  'network_refusals',
  'disk_short_writes',
  'disk_full',
  'disk_write_fails',
  'disk_sync_fails',
  'disk_slow',
  'clock_jump',
] as const
export type FaultKind = (typeof faultKinds)[number]

/** What one seed is made of. */
export interface SwarmPlan {
  readonly brokers: number
  /** The coordinator's registry is on a simulated disk, or in memory that outlives it. */
  readonly registry: 'embedded' | 'memory'
  readonly faults: readonly FaultKind[]
  /** Mean ms between faults. */
  readonly faultEveryMs: number
  /** How long faults go on. */
  readonly faultsForMs: number
  /** Clients that send over the bare wire, and by the public client. */
  readonly wireProducers: number
  readonly publicProducers: number
  readonly wireReaders: number
  readonly publicReaders: number
  readonly log: {
    readonly segmentBytes: number
    readonly chunkBytes: number
    readonly tailBytes: number
    readonly cacheBytes: number
    readonly cacheBlockBytes: number
    readonly mostUnsyncedBytes: number
    readonly checkpointBytes: number
    readonly checkpointMs: number
    readonly retentionMs: number
    readonly cleanBelowShare: number
  }
}

/** Each seed has some kinds of faults and not others: what all together would hide, a few bring to light. */
export function drawPlan(random: SeededRandom): SwarmPlan {
  const share = 0.2 + random.next() * 0.6
  const segmentBytes = 1_024 * [16, 16, 32, 64][between(random, 0, 3)]!
  return {
    brokers: random.next() < 0.7 ? 1 : 2,
    registry: random.next() < 0.5 ? 'embedded' : 'memory',
    faults: faultKinds.filter(() => random.next() < share),
    faultEveryMs: between(random, 300, 2_000),
    faultsForMs: between(random, 4_000, 12_000),
    wireProducers: between(random, 0, 2),
    publicProducers: between(random, 1, 2),
    wireReaders: between(random, 0, 4),
    publicReaders: between(random, 0, 2),
    log: {
      segmentBytes,
      chunkBytes: 4_096 * between(random, 1, 4),
      tailBytes: 4_096 * between(random, 0, 8),
      cacheBytes: 4_096 * between(random, 2, 16),
      cacheBlockBytes: 1_024 * between(random, 1, 4),
      mostUnsyncedBytes: 4_096 * between(random, 1, 16),
      checkpointBytes: 4_096 * between(random, 4, 32),
      checkpointMs: between(random, 500, 5_000),
      retentionMs: between(random, 300, 2_000),
      cleanBelowShare: 0.3 + random.next() * 0.6,
    },
  }
}
