import { exchange } from '../exchange.ts'
import { type Checked, list, object, optional, text, whole } from '../fields.ts'
import { limits } from '../limits.ts'
import type { Epoch, GroupId, Offset, PartitionNumber, TimeMs, TopicId } from '../numbers.ts'

const topicId = whole<TopicId>(1, 0xffff_ffff)
const partition = whole<PartitionNumber>(0, limits.partitionsPerTopic - 1)

export const fetchedPartition = object({
  topicId,
  partition,
  offset: whole<Offset>(),
  /** Hashes of the tags wanted; absent: every message. The consumer compares the tags themselves. */
  tagHashes: optional(list(whole(0, 0xffff_ffff), 64)),
  /** The reader's grant, when it reads for a group: refused with `grant_fenced` once a later one of it was seen. */
  grant: optional(
    object({ groupId: whole<GroupId>(1, 0xffff_ffff), epoch: whole<Epoch>(1, 0xffff_ffff) }),
  ),
})
export type FetchedPartition = Checked<typeof fetchedPartition>

export const fetchResult = object({
  topicId,
  partition,
  /** The valid bounds: `low` is the first offset kept, `high` the next one to be visible. */
  low: whole<Offset>(),
  high: whole<Offset>(),
  /** Where to read on; beyond the last record when filtered ones were skipped. */
  next: whole<Offset>(),
  /** Bytes of its records in the reply's bytes; results follow one another in the order of this list. */
  bytes: whole(),
  error: optional(whole(1, 0xffff)),
  what: optional(text(4_096)),
})
export type FetchResult = Checked<typeof fetchResult>

/**
 * Reads visible messages of many partitions of one broker. Held up to `waitMs` until one has something (or an error);
 * only partitions with something to tell are in the reply.
 */
export const fetch = exchange({
  type: 33,
  name: 'fetch',
  request: object({
    partitions: list(fetchedPartition, 10_000),
    waitMs: whole(0, limits.waitMs),
    /** The most record bytes in the reply; one record always fits. */
    maxBytes: whole(1, limits.frameBodyBytes),
  }),
  reply: object({ results: list(fetchResult, 10_000) }),
})

/** Bounds of partitions, and the offset of the first message appended at or after `at`. */
export const offsets = exchange({
  type: 34,
  name: 'offsets',
  request: object({
    partitions: list(object({ topicId, partition, at: optional(whole<TimeMs>()) }), 10_000),
  }),
  reply: object({
    results: list(
      object({
        topicId,
        partition,
        low: whole<Offset>(),
        high: whole<Offset>(),
        /** Present when `at` was asked for; `high` when nothing is that new. */
        offset: optional(whole<Offset>()),
        error: optional(whole(1, 0xffff)),
        what: optional(text(4_096)),
      }),
      10_000,
    ),
  }),
})

/** Makes everything below `before` unreadable and gives its disk space back in time. Answered when durable. */
export const purge = exchange({
  type: 35,
  name: 'purge',
  request: object({ topicId, partition, before: whole<Offset>() }),
  reply: object({ low: whole<Offset>(), high: whole<Offset>() }),
})
