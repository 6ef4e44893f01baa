import { exchange } from '../exchange.ts'
import { type Checked, flag, list, object, oneOf, optional, text, whole } from '../fields.ts'
import { limits } from '../limits.ts'
import type { Epoch, GroupId, Offset, PartitionNumber, TopicId } from '../numbers.ts'

const name = text(limits.nameBytes)
const askedName = text(1_024)
const groupId = whole<GroupId>(1, 0xffff_ffff)
const memberId = text(64, 1)
const topicId = whole<TopicId>(1, 0xffff_ffff)
const partition = whole<PartitionNumber>(0, limits.partitionsPerTopic - 1)
const epoch = whole<Epoch>(1, 0xffff_ffff)
const partitions = limits.partitionsPerGroup

/** How a group reads a topic: its members share the partitions, or each member reads all of them, or it pops. */
export const groupModes = ['pull', 'broadcast', 'pop'] as const
export type GroupMode = (typeof groupModes)[number]

/** A partition granted to a member. Commits and fetches name the epoch; a partition given away since is fenced. */
export const grant = object({
  topicId,
  partition,
  epoch,
  /** Where the member goes on: the committed offset. */
  offset: whole<Offset>(),
})
export type Grant = Checked<typeof grant>

/** Names a grant that a member holds or held. */
export const heldGrant = object({ topicId, partition, epoch })
export type HeldGrant = Checked<typeof heldGrant>

/**
 * A member joins. The group is made if it is new. Joining again with the same static `member` name takes over what the
 * one before held, once its connection has closed or its session is over; until then `member_in_use`.
 * Refused with `subscription_conflict` where members that live read a topic of the list in another way.
 */
export const groupJoin = exchange({
  type: 48,
  name: 'group_join',
  request: object({
    group: askedName,
    topics: list(askedName, 1_000),
    mode: oneOf('pull', 'broadcast'),
    /** Tags wanted, sorted; part of what all members must agree on. Absent: every message. */
    tags: optional(list(text(limits.tagBytes), 64)),
    /** A name that stays over restarts: its partitions wait for it until the session is over. */
    member: optional(text(limits.nameBytes, 1)),
    /** Who this is, for people: host and process. */
    client: optional(text(128)),
    /** How long the member may take to finish what it has of a partition that is revoked, in ms. */
    drainMs: whole(0, 600_000),
  }),
  reply: object({
    groupId,
    /** Names this member until its session is over. Never given twice. */
    memberId,
    sessionMs: whole(1),
    /** Topics that the group has never read: the member sends `group_start` for each. */
    unstarted: list(object({ name, topicId }), 1_000),
  }),
})

/**
 * Where a group begins to read a topic, resolved to offsets by the member that touches it first. Written as progress
 * before anything is granted; when another member was first, its offsets stay.
 */
export const groupStart = exchange({
  type: 49,
  name: 'group_start',
  request: object({
    groupId,
    memberId,
    topicId,
    /** By partition, from 0. Partitions that are added later start at their first message. */
    offsets: list(whole<Offset>(), limits.partitionsPerTopic),
  }),
  reply: object({}),
})

/**
 * The member's held request: keeps its session alive and is answered when its assignment is another than `version`, or
 * after `waitMs`, but no later than a third of the session. The reply with a newer version has the whole assignment:
 * what is granted now, and what is to be released. What is in neither list is lost: nothing of it may be handled on.
 * Refused with `member_unknown`: join again; nothing is held any more.
 */
export const groupSession = exchange({
  type: 50,
  name: 'group_session',
  request: object({ groupId, memberId, version: whole(), waitMs: whole(0, limits.waitMs) }),
  reply: object({
    version: whole(),
    /** Absent while `version` is the one that the member has. */
    assignment: optional(
      object({
        grants: list(grant, partitions),
        /** Held still; the member finishes, commits, and sends `group_release`, within its `drainMs`. */
        revoking: list(heldGrant, partitions),
        /** Topics of which nothing is to be delivered until resumed. */
        paused: list(topicId, 1_000),
      }),
    ),
  }),
})

/** Gives revoked partitions back, after their last commit. One that is not held any more is passed over. */
export const groupRelease = exchange({
  type: 51,
  name: 'group_release',
  request: object({ groupId, memberId, released: list(heldGrant, partitions) }),
  reply: object({}),
})

/** A clean stop: all that the member holds is free at once. Answered the same when it was not known. */
export const groupLeave = exchange({
  type: 52,
  name: 'group_leave',
  request: object({ groupId, memberId }),
  reply: object({}),
})

/**
 * Commits progress: the next offset to read of each partition. Answered when it is durable. Refusals are per partition:
 * `grant_fenced`, `offset_below_progress`, `topic_not_found`; the others are committed all the same.
 */
export const commit = exchange({
  type: 53,
  name: 'commit',
  request: object({
    groupId,
    memberId,
    partitions: list(object({ topicId, partition, epoch, offset: whole<Offset>() }), partitions),
  }),
  reply: object({
    /** Only those that were refused. */
    refused: list(
      object({
        topicId,
        partition,
        error: whole(1, 0xffff),
        what: text(4_096),
        /** What is committed. */
        offset: optional(whole<Offset>()),
      }),
      partitions,
    ),
  }),
})

/**
 * Names a group that pops topics; makes it if it is new. Answered once every live broker knows of it. Where a topic is
 * new to the group, `starts` says where it begins, by partition; absent: at the first message kept.
 * Refused with `subscription_conflict` where the group reads a topic in another way.
 */
export const groupOpen = exchange({
  type: 61,
  name: 'group_open',
  request: object({
    group: askedName,
    topics: list(askedName, 1_000),
    /** Tags wanted, sorted; part of what all consumers must agree on. Absent: every message. */
    tags: optional(list(text(limits.tagBytes), 64)),
    starts: optional(
      list(object({ topicId, offsets: list(whole<Offset>(), limits.partitionsPerTopic) }), 1_000),
    ),
  }),
  reply: object({
    groupId,
    invisibleMs: whole(1),
    /** Topics that the group had not read before. */
    topics: list(object({ name, topicId, isNew: flag }), 1_000),
  }),
})
