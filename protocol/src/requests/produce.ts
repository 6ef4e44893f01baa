import { exchange } from '../exchange.ts'
import { type Checked, list, object, oneOf, optional, text, whole } from '../fields.ts'
import { limits } from '../limits.ts'
import type { Offset, PartitionNumber, TimeMs, TopicId } from '../numbers.ts'

/** How far a message must have come before it is acknowledged, weakest first. */
export const ackLevels = ['none', 'received', 'disk', 'quorum'] as const
export type AckLevel = (typeof ackLevels)[number]

/** One run: the request's records for one partition, contiguous in the request's bytes. */
export const producedRun = object({
  topicId: whole<TopicId>(1, 0xffff_ffff),
  partition: whole<PartitionNumber>(0, limits.partitionsPerTopic - 1),
  /** Bytes of its records; runs follow one another in the order of this list. */
  bytes: whole(1),
  count: whole(1, limits.messagesPerRun),
})
export type ProducedRun = Checked<typeof producedRun>

/** A record of a run that was not appended because its dedup id was seen: where the first one lies. */
const deduplicated = object({
  /** Of the record in its run. */
  index: whole(0, limits.messagesPerRun),
  /** Where the first one lies: another partition when some were added since. */
  partition: whole<PartitionNumber>(0, limits.partitionsPerTopic - 1),
  offset: whole<Offset>(),
  appendedAt: whole<TimeMs>(),
})

/**
 * What became of one run. With `error` nothing of it was appended now. Otherwise its records have the offsets from
 * `baseOffset` on, in order, those listed in `deduplicated` left out.
 */
export const runResult = object({
  baseOffset: optional(whole<Offset>()),
  appendedAt: optional(whole<TimeMs>()),
  /** The level that was reached. */
  level: optional(oneOf('received', 'disk', 'quorum')),
  deduplicated: optional(list(deduplicated, limits.messagesPerRun)),
  error: optional(whole(1, 0xffff)),
  what: optional(text(4_096)),
  retryAfterMs: optional(whole()),
})
export type RunResult = Checked<typeof runResult>

/** Appends runs. Record bytes travel beside the fields. With acks `none` there is no reply. */
export const produce = exchange({
  type: 32,
  name: 'produce',
  request: object({ acks: oneOf(...ackLevels), runs: list(producedRun, 4_096) }),
  reply: object({ results: list(runResult, 4_096) }),
})
