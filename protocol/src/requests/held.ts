import { exchange } from '../exchange.ts'
import { type Checked, flag, list, object, oneOf, optional, text, whole } from '../fields.ts'
import { attempt } from '../history.ts'
import { limits } from '../limits.ts'
import type { GroupId, Offset, PartitionNumber, TimeMs, TopicId } from '../numbers.ts'

/**
 * Looking at what waits on one broker, and changing it. Lists are paged: `after` is the last one seen, and the reply is
 * `complete` when nothing follows.
 */
const groupId = whole<GroupId>(1, 0xffff_ffff)
const topicId = whole<TopicId>(1, 0xffff_ffff)
const partition = whole<PartitionNumber>(0, limits.partitionsPerTopic - 1)
const page = { after: optional(whole()), limit: whole(1, 1_000) }

const place = { topicId, partition, offset: whole<Offset>() }

/** A message that is handed out. */
export const leasedMessage = object({
  ...place,
  /** Its held number, when it is a retry. */
  number: optional(whole()),
  attempt: whole(1),
  consumer: text(limits.errorTypeBytes),
  since: whole<TimeMs>(),
  until: whole<TimeMs>(),
})
export type LeasedMessage = Checked<typeof leasedMessage>

export const inflightList = exchange({
  type: 68,
  name: 'inflight_list',
  request: object({ groupId, ...page }),
  /** Sorted by topic, partition and offset; `after` counts those passed by. */
  reply: object({ messages: list(leasedMessage, 1_000), complete: flag }),
})

/** Takes leases away: their messages are handed out again at once. The attempt counts, for it was made. */
export const inflightRelease = exchange({
  type: 69,
  name: 'inflight_release',
  request: object({
    groupId,
    messages: list(object({ ...place, number: optional(whole()) }), 1_000),
  }),
  /** Which of them were handed out. */
  reply: object({ released: list(flag, 1_000) }),
})

/** A message that waits to be delivered again. */
export const waitingRetry = object({
  number: whole(),
  ...place,
  /** Deliveries so far. */
  attempts: whole(),
  dueAt: whole<TimeMs>(),
  /** `due` when only a consumer is missing; `leased` while one has it. */
  state: oneOf('waiting', 'due', 'leased'),
  /** 12 hexadecimal digits of the last error. */
  fingerprint: optional(text(12)),
})
export type WaitingRetry = Checked<typeof waitingRetry>

export const retryList = exchange({
  type: 70,
  name: 'retry_list',
  request: object({ groupId, ...page }),
  /** By number. */
  reply: object({ retries: list(waitingRetry, 1_000), complete: flag }),
})

/** `now`: due at once; `dead`: given up. Answered when durable. */
export const retryChange = exchange({
  type: 71,
  name: 'retry_change',
  request: object({ groupId, numbers: list(whole(), 1_000), to: oneOf('now', 'dead') }),
  /** `busy`: a consumer has it, or it is being moved. */
  reply: object({ results: list(oneOf('done', 'unknown', 'busy'), 1_000) }),
})

/** A message that becomes visible later. */
export const delayedMessage = object({
  number: whole(),
  topicId,
  partition,
  dueAt: whole<TimeMs>(),
  /** Bytes of its record. */
  bytes: whole(),
})
export type DelayedMessage = Checked<typeof delayedMessage>

export const delayList = exchange({
  type: 72,
  name: 'delay_list',
  request: object({ topicId, ...page }),
  /** By number. */
  reply: object({ messages: list(delayedMessage, 1_000), complete: flag, total: whole() }),
})

/** One delayed message, with its record in the reply's bytes. Refused with `message_not_found` once it was delivered or cancelled. */
export const delayShow = exchange({
  type: 73,
  name: 'delay_show',
  request: object({ number: whole() }),
  reply: object({ message: delayedMessage }),
})

/**
 * Cancels a delayed message, or moves it to another time. Durable when answered: either `done`, and it is never
 * delivered (or not before the new time), or `delivered`, and nothing was changed; `unknown`: there is none.
 */
export const delayChange = exchange({
  type: 74,
  name: 'delay_change',
  request: object({
    number: whole(),
    /** Absent: cancel. */
    deliverAt: optional(whole<TimeMs>(0, 2 ** 48 - 1)),
  }),
  reply: object({
    result: oneOf('done', 'delivered', 'unknown'),
    dueAt: optional(whole<TimeMs>()),
  }),
})

/** A letter is `open` until something was decided about it. `reopened`: its message is delivered again since a reset. */
export const letterStates = ['open', 'discarded', 'reopened'] as const
export type LetterState = (typeof letterStates)[number]

export const deadLetter = object({
  /** In the partition of the dead letters that the broker's set has: with the set's id it names the letter. */
  letter: whole<Offset>(),
  ...place,
  /** UUIDv7 of the message. */
  messageId: text(36),
  diedAt: whole<TimeMs>(),
  cause: text(32),
  attempts: whole(),
  state: oneOf(...letterStates),
  fingerprint: text(12),
  errorType: optional(text(limits.errorTypeBytes)),
  error: optional(text(limits.errorBytes)),
  key: optional(text(limits.keyBytes)),
  tag: optional(text(limits.tagBytes)),
  /** All that is known of the attempts; only where one letter is shown. */
  history: optional(list(attempt, 2_000)),
})
export type DeadLetter = Checked<typeof deadLetter>

export const deadList = exchange({
  type: 75,
  name: 'dead_list',
  request: object({
    groupId,
    /** 12 hexadecimal digits. */
    fingerprint: optional(text(12)),
    ...page,
  }),
  /** Oldest first. `after` and `next` are letters; several pages may be empty before a filter finds one. */
  reply: object({
    letters: list(deadLetter, 1_000),
    next: optional(whole<Offset>()),
    complete: flag,
  }),
})

/** One letter with its history; its record is in the reply's bytes. Refused with `message_not_found`. */
export const deadShow = exchange({
  type: 76,
  name: 'dead_show',
  request: object({ groupId, letter: whole<Offset>() }),
  reply: object({ letter: deadLetter }),
})

/** The letters of one fingerprint. */
export const deadSummary = object({
  fingerprint: text(12),
  errorType: optional(text(limits.errorTypeBytes)),
  /** Of the newest one. */
  error: optional(text(limits.errorBytes)),
  count: whole(),
  open: whole(),
  firstAt: whole<TimeMs>(),
  lastAt: whole<TimeMs>(),
})
export type DeadSummary = Checked<typeof deadSummary>

export const deadGroups = exchange({
  type: 77,
  name: 'dead_groups',
  request: object({ groupId }),
  /** Most letters first; at most 10,000 fingerprints. */
  reply: object({ groups: list(deadSummary, 10_000), complete: flag }),
})

/** Discards letters, or opens discarded ones again. Their records stay until their retention is over. Answered when durable. */
export const deadChange = exchange({
  type: 78,
  name: 'dead_change',
  request: object({
    groupId,
    letters: list(whole<Offset>(), 1_000),
    to: oneOf('discarded', 'open'),
  }),
  reply: object({ results: list(oneOf('done', 'already', 'unknown', 'reopened'), 1_000) }),
})
