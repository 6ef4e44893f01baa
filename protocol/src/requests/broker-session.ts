import { exchange } from '../exchange.ts'
import { type Checked, flag, list, object, optional, text, whole } from '../fields.ts'
import type { Epoch, TopicId } from '../numbers.ts'
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

const partitionLoad = object({
  topicId: whole<TopicId>(1, 0xffff_ffff),
  partition: whole(0, 1_023),
  low: whole(),
  high: whole(),
})
export type PartitionLoad = Checked<typeof partitionLoad>

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
  }),
})
