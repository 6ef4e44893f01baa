import { exchange } from '../exchange.ts'
import { bytes, type Checked, flag, list, object, oneOf, optional, text, whole } from '../fields.ts'
import { failure } from '../history.ts'
import { limits } from '../limits.ts'
import type { Epoch, GroupId, Offset, PartitionNumber, TimeMs, TopicId } from '../numbers.ts'

const groupId = whole<GroupId>(1, 0xffff_ffff)
const topicId = whole<TopicId>(1, 0xffff_ffff)
const partition = whole<PartitionNumber>(0, limits.partitionsPerTopic - 1)
const numbers = list(whole(), limits.messagesPerPop)
const topics = list(topicId, 1_000)

/** Why a pop came back with fewer messages than it asked for, when that is not for want of messages. */
export const popReasons = ['paused', 'in_flight_limit', 'consumer_in_flight_limit'] as const
export type PopReason = (typeof popReasons)[number]

/**
 * Messages of one partition under one lease. Their records follow one another in the reply's bytes. A record of kind
 * retry names in its source section where the message was first; its offset is a held number.
 */
export const poppedRun = object({
  topicId,
  partition,
  /** What its handles are made of. Opaque: only the broker that leads the partition reads it. */
  lease: bytes(128),
  /** Which delivery this is of each message in the run, 1 for the first. */
  attempt: whole(1),
  count: whole(1),
  bytes: whole(1),
  /** When the lease is over, by the broker's clock. */
  until: whole<TimeMs>(),
})
export type PoppedRun = Checked<typeof poppedRun>

/**
 * Hands out messages of any partition of these topics that the broker leads: each is hidden from the group for
 * `invisibleMs`. Held up to `waitMs` until there is one. Refused with `group_not_found`, `subscription_conflict` (the
 * group does not pop the topic), `topic_not_found`.
 */
export const pop = exchange({
  type: 64,
  name: 'pop',
  request: object({
    groupId,
    topics,
    max: whole(1, limits.messagesPerPop),
    /** The most record bytes in the reply; one record always fits. */
    maxBytes: whole(1, limits.frameBodyBytes),
    waitMs: whole(0, limits.waitMs),
    /** Absent: as the group's policy says. */
    invisibleMs: optional(whole(1, limits.invisibleMs)),
    /** Who pops, for people and for the limit per consumer. */
    consumer: text(limits.errorTypeBytes),
    /** Only messages that are retried: what a pulling member asks for. */
    retriesOnly: optional(flag),
  }),
  reply: object({
    runs: list(poppedRun, limits.messagesPerPop),
    reason: optional(oneOf(...popReasons)),
  }),
})

export const settleVerbs = ['ack', 'nack', 'extend', 'release'] as const
export type SettleVerb = (typeof settleVerbs)[number]

/**
 * What became of one handle. `acked`, `retrying`, `dead`, `extended`, `released`: done now, and durable where that
 * matters. `already`: its message was settled before. `expired`: its message was handed out again, or reset, since.
 * `unknown`: it names nothing that is there, or is damaged. `foreign`: it is another group's.
 */
export const settleResults = [
  'acked',
  'retrying',
  'dead',
  'extended',
  'released',
  'already',
  'expired',
  'unknown',
  'foreign',
] as const
export type SettleResult = (typeof settleResults)[number]

/** Handles of one lease: their offsets, or the held numbers of retried messages. */
export const settledLease = object({ lease: bytes(128), numbers })
export type SettledLease = Checked<typeof settledLease>

/**
 * Settles popped messages, or changes how long they are hidden. An ack is durable when it is answered; one bad handle
 * changes nothing for the others. `disk_full`, `broker_busy`: nothing was done, the leases go on. `outcome_unknown`: a part
 * may have been done, and asking again tells.
 */
export const settle = exchange({
  type: 65,
  name: 'settle',
  request: object({
    groupId,
    verb: oneOf(...settleVerbs),
    leases: list(settledLease, limits.messagesPerPop),
    /** Of a nack. */
    error: optional(failure),
    /** Of a nack: when to deliver it again. Absent: by the group's back-off. */
    delayMs: optional(whole(0, limits.delayMs)),
    /** Of a nack: false gives the message up at once. */
    retriable: optional(flag),
    /** Of an extension: hidden so long from now. Absent: as the policy says. */
    invisibleMs: optional(whole(1, limits.invisibleMs)),
  }),
  reply: object({
    /** By lease, by number. */
    results: list(list(oneOf(...settleResults), limits.messagesPerPop), limits.messagesPerPop),
    /** Of an extension: when the leases are over now. */
    until: optional(whole<TimeMs>()),
  }),
})

/** Waits until the broker has something to pop for the group, or `waitMs` is over. Grants nothing. */
export const popHint = exchange({
  type: 66,
  name: 'pop_hint',
  request: object({
    groupId,
    topics,
    waitMs: whole(0, limits.waitMs),
    retriesOnly: optional(flag),
  }),
  reply: object({ isReady: flag }),
})

/**
 * Sets messages of pulled partitions aside, to be retried: later fetches of the group pass them by, and their copies are
 * popped with `retriesOnly`. Answered when durable: `retrying` or `dead`, `already` for one set aside before, `unknown`
 * for an offset that is not there. Refused with `grant_fenced` when the grant is not the newest seen.
 */
export const setAside = exchange({
  type: 67,
  name: 'set_aside',
  request: object({
    groupId,
    topicId,
    partition,
    offsets: list(whole<Offset>(), limits.messagesPerPop),
    epoch: whole<Epoch>(1, 0xffff_ffff),
    consumer: text(limits.errorTypeBytes),
    error: optional(failure),
    delayMs: optional(whole(0, limits.delayMs)),
    retriable: optional(flag),
  }),
  reply: object({ results: list(oneOf(...settleResults), limits.messagesPerPop) }),
})
