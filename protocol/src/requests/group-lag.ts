import { exchange } from '../exchange.ts'
import { type Checked, list, object, optional, text, whole } from '../fields.ts'
import { limits } from '../limits.ts'
import type { Offset, PartitionNumber, TimeMs, TopicId } from '../numbers.ts'

const topicId = whole<TopicId>(1, 0xffff_ffff)
const partition = whole<PartitionNumber>(0, limits.partitionsPerTopic - 1)

/**
 * Where the messages of one partition are for one group. Every message that was ever visible there is in exactly one
 * state: ready + leased + retrying + parked + dead + acked + skipped = high.
 */
export const partitionState = object({
  topicId,
  partition,
  low: whole<Offset>(),
  high: whole<Offset>(),
  /** Can be handed out now: never handed out, or given back. */
  ready: whole(),
  /** Handed out, as messages of the partition or as retries. */
  leased: whole(),
  /** Failed, and waiting for their next delivery. */
  retrying: whole(),
  /** Waiting behind a failed message of the same key. */
  parked: whole(),
  /** Given up, and not discarded. */
  dead: whole(),
  acked: whole(),
  /** Filtered out, expired, discarded, or passed by with a start or a reset. */
  skipped: whole(),
  /** When the oldest message in the state was first appended; absent when there is none. */
  oldestReadyAt: optional(whole<TimeMs>()),
  oldestLeasedAt: optional(whole<TimeMs>()),
  oldestRetryingAt: optional(whole<TimeMs>()),
  oldestDeadAt: optional(whole<TimeMs>()),
  /** Of a pulled partition: the next offset to read. */
  committed: optional(whole<Offset>()),
})
export type PartitionState = Checked<typeof partitionState>

/**
 * Where the messages of a group are, as the brokers tell now. A partition whose broker does not answer within 5 s is in
 * `unknown`, not in `partitions`. Broadcast readings are not in it. @throws `group_not_found`
 */
export const groupLag = exchange({
  type: 62,
  name: 'group_lag',
  request: object({ group: text(1_024) }),
  reply: object({
    /** The clock of the coordinator: ages are taken from it. */
    at: whole<TimeMs>(),
    partitions: list(partitionState, limits.partitionsPerGroup),
    unknown: list(object({ topicId, partition }), limits.partitionsPerGroup),
    topics: list(object({ topicId, name: text(limits.nameBytes) }), 1_000),
    /** Messages that wait for their time, by topic: no group has them yet. */
    delayed: list(object({ topicId, count: whole() }), 1_000),
  }),
})
