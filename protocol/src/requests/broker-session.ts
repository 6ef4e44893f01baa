import { exchange } from '../exchange.ts'
import { bytes, type Checked, flag, list, object, oneOf, optional, text, whole } from '../fields.ts'
import { limits } from '../limits.ts'
import type { Epoch, GroupId, Offset, PartitionNumber, TopicId } from '../numbers.ts'
import { groupPolicy } from './group-admin.ts'
import { partitionState } from './group-lag.ts'
import { groupModes } from './groups.ts'
import { topicInfo } from './topics.ts'

/**
 * A broker's start: it names its data directory's cluster and the newest ids that it has seen, and gets a new epoch.
 * Refused with `foreign_cluster`, `registry_behind` or `broker_id_in_use`.
 */
export const brokerOpen = exchange({
  type: 16,
  name: 'broker_open',
  request: object({
    brokerId: whole(1, 0xffff),
    /** Random text of this process: the same process may open again, another one may not while a session lives. */
    incarnation: text(64, 1),
    /** Where clients reach the broker: host:port. */
    address: text(256, 3),
    /** From the data directory; absent while it is empty. */
    clusterId: optional(text(64)),
    highestTopicId: whole(0, 0xffff_ffff),
    highestEpoch: whole(0, 0xffff_ffff),
  }),
  reply: object({
    clusterId: text(64),
    setId: whole(1),
    epoch: whole<Epoch>(1, 0xffff_ffff),
    sessionMs: whole(1),
  }),
})

const groupId = whole<GroupId>(1, 0xffff_ffff)
const topicId = whole<TopicId>(1, 0xffff_ffff)
const partition = whole<PartitionNumber>(0, limits.partitionsPerTopic - 1)

/** What a broker must know of a group's reading of a topic. */
export const servedTopic = object({
  topicId,
  mode: oneOf(...groupModes),
  /** Tags wanted; absent: every message. */
  tags: optional(list(text(limits.tagBytes), 64)),
  isPaused: flag,
  /** Of a popped topic: where the group began, by partition; what is not in it begins at its first message. */
  starts: optional(list(whole<Offset>(), limits.partitionsPerTopic)),
  /**
   * The latest reset, numbered from 1 within the topic; not of broadcast ones. A broker that knows an older one carries it
   * out before it says that it has applied this version.
   */
  reset: optional(
    object({
      generation: whole(1, 0xffff_ffff),
      offsets: list(
        object({ partition, offset: whole<Offset>(), generation: whole(1, 0xffff_ffff) }),
        limits.partitionsPerTopic,
      ),
    }),
  ),
})
export type ServedTopic = Checked<typeof servedTopic>

/** What a broker must know of a group. */
export const servedGroup = object({
  groupId,
  name: text(limits.nameBytes),
  policy: groupPolicy,
  /** The topic of its dead letters: partition n is on replica set n. Not in the list of topics. */
  deadTopicId: topicId,
  topics: list(servedTopic, 1_000),
})
export type ServedGroup = Checked<typeof servedGroup>

/** A key that handles are authenticated with. */
export const handleKey = object({ id: whole(0, 255), key: bytes(64) })
export type HandleKey = Checked<typeof handleKey>

/** The coordinator wants to know where the messages of a group are. */
export const wantedReport = object({ ticket: whole(), groupId })
export type WantedReport = Checked<typeof wantedReport>

/**
 * The broker's held request: it keeps the session alive, tells which version of the topics the broker has applied, and
 * is answered when a newer one exists or after `waitMs`. `epoch` fences: an older one is answered `broker_fenced`.
 */
export const brokerSession = exchange({
  type: 17,
  name: 'broker_session',
  request: object({
    brokerId: whole(1, 0xffff),
    epoch: whole<Epoch>(1, 0xffff_ffff),
    appliedVersion: whole(),
    waitMs: whole(0, 60_000),
    /** The broker stops: its session ends with this request. */
    leaving: optional(flag),
  }),
  reply: object({
    version: whole(),
    /** All topics with a partition on this broker's set; absent when nothing changed. */
    topics: optional(list(topicInfo, 1_000_000)),
    /** All groups; absent when nothing changed. */
    groups: optional(list(servedGroup, 1_000_000)),
    /** Newest first; handles are made with the first and read with all. Absent when nothing changed. */
    handleKeys: optional(list(handleKey, 8)),
    /** To be answered with `group_report`. */
    wanted: optional(list(wantedReport, 1_000)),
  }),
})

/** Where the messages of a group are in the partitions that this broker leads. */
export const groupReport = exchange({
  type: 18,
  name: 'group_report',
  request: object({
    brokerId: whole(1, 0xffff),
    epoch: whole<Epoch>(1, 0xffff_ffff),
    ticket: whole(),
    /** Further requests of this ticket follow: partitions that do not fit into one. */
    more: optional(flag),
    partitions: list(partitionState, limits.partitionsPerGroup),
    /** Delayed messages by topic. */
    delayed: list(object({ topicId, count: whole() }), 1_000),
  }),
  reply: object({}),
})
