import { exchange } from '../exchange.ts'
import {
  type Checked,
  dictionary,
  flag,
  list,
  object,
  oneOf,
  optional,
  text,
  whole,
} from '../fields.ts'
import { limits } from '../limits.ts'
import type { Epoch, GroupId, Offset, PartitionNumber, TimeMs, TopicId } from '../numbers.ts'
import { groupModes, heldGrant } from './groups.ts'

const name = text(limits.nameBytes)
const askedName = text(1_024)
const groupId = whole<GroupId>(1, 0xffff_ffff)
const memberId = text(64, 1)
const topicId = whole<TopicId>(1, 0xffff_ffff)
const partition = whole<PartitionNumber>(0, limits.partitionsPerTopic - 1)
const epoch = whole<Epoch>(1, 0xffff_ffff)
const partitions = limits.partitionsPerGroup

/** The policy of a group, parsed. */
export const groupPolicy = object({
  assignor: text(64, 1),
  sessionMs: whole(100, 600_000),
  /** Deliveries before a message is dead; the first one counts. */
  maxAttempts: whole(1, 1_000),
  /** As written: `exp:1s..10m`, `200ms`, `1s,10s,1m`. */
  backoff: text(256, 1),
  invisibleMs: whole(1),
  order: oneOf('none', 'key'),
  onFailure: oneOf('park', 'block', 'skip'),
  deadRetentionMs: whole(1),
  outageBrake: oneOf('on', 'off'),
  /** 0: any number. */
  maxInFlight: whole(),
  maxInFlightPerConsumer: whole(),
})
export type GroupPolicy = Checked<typeof groupPolicy>

/** `rebalancing` while a partition is between two members. */
const groupState = oneOf('empty', 'stable', 'rebalancing')

const subscribedTopic = object({
  name,
  topicId,
  mode: oneOf(...groupModes),
  tags: optional(list(text(limits.tagBytes), 64)),
  isPaused: flag,
})

export const groupSummary = object({
  name,
  groupId,
  state: groupState,
  members: whole(),
  topics: list(subscribedTopic, 1_000),
})
export type GroupSummary = Checked<typeof groupSummary>

export const memberInfo = object({
  memberId,
  /** The static name. */
  member: optional(text(limits.nameBytes)),
  client: optional(text(128)),
  /** Where it connects from. */
  remote: text(256),
  /** `detached`: its connection has closed; `recovering`: not heard since this coordinator leads. */
  state: oneOf('live', 'detached', 'recovering'),
  joinedAt: whole<TimeMs>(),
  topics: list(name, 1_000),
  grants: list(heldGrant, partitions),
  revoking: list(heldGrant, partitions),
})
export type MemberInfo = Checked<typeof memberInfo>

export const groupList = exchange({
  type: 54,
  name: 'group_list',
  request: object({}),
  reply: object({ groups: list(groupSummary, 1_000_000) }),
})

/** @throws `group_not_found` */
export const groupDescribe = exchange({
  type: 55,
  name: 'group_describe',
  request: object({ group: askedName }),
  reply: object({
    group: groupSummary,
    policy: groupPolicy,
    members: list(memberInfo, 100_000),
    /** The next offset to read by topic and partition; of static members' own progress when `member` is there. */
    progress: list(
      object({
        topicId,
        member: optional(text(limits.nameBytes)),
        offsets: list(whole<Offset>(), limits.partitionsPerTopic),
      }),
      100_000,
    ),
  }),
})

/** Sets policy keys as users write them; makes the group if it is new. */
export const groupSet = exchange({
  type: 56,
  name: 'group_set',
  request: object({ group: askedName, config: dictionary(text(256), 32) }),
  reply: object({ policy: groupPolicy }),
})

/**
 * Sets progress of one topic, lower offsets too; partitions that are left out stay. Members go on from there: each such
 * partition gets a new grant epoch, so that no commit from before counts. With `dryRun` nothing is done.
 */
export const groupReset = exchange({
  type: 57,
  name: 'group_reset',
  request: object({
    group: askedName,
    topicId,
    offsets: list(object({ partition, offset: whole<Offset>() }), limits.partitionsPerTopic),
    dryRun: optional(flag),
    /** Who asks, for the audit. */
    operator: optional(text(256)),
  }),
  reply: object({
    moves: list(
      object({ partition, from: optional(whole<Offset>()), to: whole<Offset>() }),
      limits.partitionsPerTopic,
    ),
  }),
})

/** Pauses or resumes delivery of a topic, or of all topics of the group. Answered when it is durable. */
export const groupPause = exchange({
  type: 58,
  name: 'group_pause',
  request: object({ group: askedName, topic: optional(askedName), isPaused: flag }),
  reply: object({ topics: list(subscribedTopic, 1_000) }),
})

/** Removes a group without members, and its progress. @throws `group_in_use` */
export const groupDelete = exchange({
  type: 59,
  name: 'group_delete',
  request: object({ group: askedName }),
  reply: object({ groupId }),
})

/** One partition that a rebalance gave from one member to another. */
export const move = object({
  topicId,
  partition,
  /** Absent: nobody had it, or nobody has it now. */
  from: optional(memberId),
  to: optional(memberId),
  epoch,
  /** From the moment that its member was to stop until the next one knew that it has it; absent while that lasts. */
  darkMs: optional(whole()),
})
export type Move = Checked<typeof move>

export const rebalance = object({
  /** Grows by one with each of the group. */
  number: whole(1),
  at: whole<TimeMs>(),
  /** What led to it: `member_joined`, `member_left`, `session_over`, `topic_changed`, `policy_changed`, `reset of …`, … */
  triggers: list(text(1_024), 1_000),
  assignor: text(64),
  /** Why the assignor asked for was not used. */
  fallback: optional(text(1_024)),
  members: whole(),
  partitions: whole(),
  moves: list(move, partitions),
})
export type Rebalance = Checked<typeof rebalance>

/** The latest rebalances, newest first. @throws `group_not_found` */
export const groupRebalances = exchange({
  type: 60,
  name: 'group_rebalances',
  request: object({ group: askedName, limit: whole(1, 100) }),
  reply: object({ rebalances: list(rebalance, 100) }),
})
