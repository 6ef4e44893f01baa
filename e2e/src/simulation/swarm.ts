import { between } from '@popmq/kit'
import { SeededRandom } from '@popmq/kit/testing'

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

/** Those of a registry that is a service of its own, and of its users. */
export const registryFaultKinds = [
  'coordinator_pause',
  'coordinator_restart',
  'registry_session_expires',
  'registry_commits_unanswered',
  'registry_cut',
  'registry_away',
  'registry_watches_late',
] as const
export const memberFaultKinds = ['member_kill', 'member_cut', 'member_pause'] as const
export type RegistryFaultKind = (typeof registryFaultKinds)[number]
export type MemberFaultKind = (typeof memberFaultKinds)[number]
export type FaultKind = (typeof faultKinds)[number] | RegistryFaultKind | MemberFaultKind

/** What one seed is made of. */
export interface SwarmPlan {
  readonly brokers: number
  readonly coordinators: number
  /** The one coordinator's registry is on a simulated disk, or all of them share one that is a service of its own. */
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
  /** Absent: nobody reads as a member of a group. */
  readonly group: GroupPlan | undefined
  /** Absent: nobody pops. */
  readonly delivery: DeliveryPlan | undefined
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

/** A group, and what happens to it besides faults. */
export interface GroupPlan {
  /** How many members there are to be at a time. */
  readonly members: number
  readonly partitions: number
  readonly from: 'earliest' | 'latest'
  readonly assignor: string
  readonly sessionMs: number
  /** Share of members with a static name. */
  readonly staticShare: number
  /** Share of members that commit by themselves. */
  readonly manualShare: number
  /** The longest that a batch takes to be handled, and that a member may take to finish what is revoked. */
  readonly handleMs: number
  readonly drainMs: number
  /** Mean ms between members coming and going, and between what an operator does; 0: never. */
  readonly changeEveryMs: number
  readonly operateEveryMs: number
}

/** Groups that pop one topic, and what happens to their messages besides faults. */
export interface DeliveryPlan {
  readonly groups: number
  readonly partitions: number
  /** How many consumers each group is to have at a time. */
  readonly consumers: number
  readonly maxAttempts: number
  /** As a policy writes it. */
  readonly backOffMs: readonly number[]
  /** The longest that a message is hidden. */
  readonly invisibleMs: number
  /** The longest that a message takes to be handled. */
  readonly handleMs: number
  /** Mean ms between sends. */
  readonly sendEveryMs: number
  /** Share of sends that are delayed. */
  readonly delayedShare: number
  /** Mean ms between consumers coming and going, and between what an operator does; 0: never. */
  readonly changeEveryMs: number
  readonly operateEveryMs: number
}

/** What a seed is made of; the rest of its world is drawn from `random`. */
export function planOf(seed: number, random = new SeededRandom(seed)): SwarmPlan {
  return drawPlan(random.fork())
}

/** Each seed has some kinds of faults and not others: what all together would hide, a few bring to light. */
function drawPlan(random: SeededRandom): SwarmPlan {
  const share = 0.2 + random.next() * 0.6
  const segmentBytes = 1_024 * [16, 16, 32, 64][between(random, 0, 3)]!
  const group = random.next() < 0.5 ? drawGroup(random.fork()) : undefined
  const registry = random.next() < (group === undefined ? 0.6 : 0.3) ? 'embedded' : 'memory'
  const isShared = registry === 'memory'
  const faults = drawFaults(random, share, { isShared, hasGroup: group !== undefined })
  // With a group there is enough to do: the rest is there, and less of it.
  const mostOthers = group === undefined ? 2 : 1
  const plan = {
    brokers: random.next() < 0.7 ? 1 : 2,
    coordinators: registry === 'embedded' ? 1 : between(random, 1, 3),
    registry,
    faults,
    faultEveryMs: between(random, 300, group === undefined ? 2_000 : 800),
    faultsForMs: between(random, 4_000, 12_000),
    wireProducers: between(random, 0, mostOthers),
    publicProducers: between(random, 1, mostOthers),
    wireReaders: between(random, 0, 2 * mostOthers),
    publicReaders: between(random, 0, mostOthers),
    group,
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
  } satisfies Omit<SwarmPlan, 'delivery'>
  return { ...plan, delivery: random.next() < 0.6 ? drawDelivery(random.fork()) : undefined }
}

/** With a group, what strikes coordinators and members is not to drown in what strikes disks. */
function drawFaults(
  random: SeededRandom,
  share: number,
  { isShared, hasGroup }: { readonly isShared: boolean; readonly hasGroup: boolean },
): FaultKind[] {
  const common: readonly FaultKind[] = isShared
    ? [...faultKinds, ...registryFaultKinds]
    : faultKinds
  if (!hasGroup) return common.filter(() => random.next() < share)
  const near: readonly FaultKind[] = [
    'coordinator_kill',
    ...memberFaultKinds,
    ...(isShared ? registryFaultKinds : []),
  ]
  const far = faultKinds.filter((kind) => !near.includes(kind))
  return [
    ...far.filter(() => random.next() < share / 3),
    ...near.filter(() => random.next() < Math.max(0.5, share)),
  ]
}

const assignors = ['sticky', 'sticky', 'round-robin', 'range', 'failover'] as const

function drawGroup(random: SeededRandom): GroupPlan {
  return {
    members: between(random, 2, 5),
    partitions: between(random, 1, 6),
    from: random.next() < 0.8 ? 'earliest' : 'latest',
    assignor: assignors[between(random, 0, assignors.length - 1)] ?? 'sticky',
    sessionMs: random.next() < 0.7 ? between(random, 800, 4_000) : between(random, 4_000, 10_000),
    staticShare: random.next() < 0.5 ? 0 : random.next(),
    manualShare: random.next(),
    handleMs: random.next() < 0.8 ? between(random, 5, 60) : between(random, 200, 2_500),
    drainMs: random.next() < 0.5 ? between(random, 0, 300) : between(random, 300, 4_000),
    changeEveryMs: random.next() < 0.2 ? 0 : between(random, 200, 2_000),
    operateEveryMs: random.next() < 0.5 ? 0 : between(random, 800, 4_000),
  }
}

const backOffs = [[100], [200, 1_000], [50, 100, 400]] as const

function drawDelivery(random: SeededRandom): DeliveryPlan {
  return {
    groups: random.next() < 0.7 ? 1 : 2,
    partitions: between(random, 1, 3),
    consumers: between(random, 1, 3),
    maxAttempts: between(random, 1, 5),
    backOffMs: backOffs[between(random, 0, backOffs.length - 1)] ?? [100],
    invisibleMs: between(random, 150, 1_500),
    handleMs: between(random, 5, 600),
    sendEveryMs: between(random, 60, 300),
    delayedShare: random.next() * 0.5,
    changeEveryMs: random.next() < 0.3 ? 0 : between(random, 300, 2_500),
    operateEveryMs: random.next() < 0.3 ? 0 : between(random, 150, 1_200),
  }
}
