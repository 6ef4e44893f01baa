import type { AckLevel } from '@popmq/client'

export const workloads = ['produce', 'end-to-end', 'many-topics'] as const
export type Workload = (typeof workloads)[number]

/** What is measured. */
export interface Settings {
  readonly workload: Workload
  /** Bytes of a message's value. At least 4: the number of the message. */
  readonly sizeBytes: number
  /** Messages given to the producer at once. */
  readonly batch: number
  readonly acks: AckLevel
  /** Messages per run. */
  readonly messages: number
  /** Timed runs, behind one that warms up. */
  readonly runs: number
  /** Whether messages carry one of 1,000 keys; without, the partitions take turns batch by batch. */
  readonly keyed: boolean
}

export const leastSizeBytes = 4
export const partitions = 8
/** Topics of the workload many-topics. */
export const topicCount = 1_000
const keyCount = 1_000

/** The keys that messages take turns with. */
export function keys(): readonly string[] {
  return Array.from({ length: keyCount }, (_, index) => `key-${index}`)
}

/** Batches that the producer has under way: enough to keep it busy, few enough to stay inside its buffer. */
export function batchesUnderWay({
  batch,
  sizeBytes,
}: {
  batch: number
  sizeBytes: number
}): number {
  const byCount = Math.ceil(64_000 / batch)
  const byBytes = Math.floor((16 * 1_048_576) / (batch * (sizeBytes + 128)))
  return Math.max(1, Math.min(1_000, byCount, Math.max(2, byBytes)))
}
