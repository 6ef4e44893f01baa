import { exchange } from '../exchange.ts'
import { type Checked, dictionary, flag, list, object, optional, text, whole } from '../fields.ts'
import { limits } from '../limits.ts'
import type { Epoch, TimeMs, TopicId } from '../numbers.ts'

/** Config keys as users write them (`72h`, `2m`, `8388608`); parsed and checked by the coordinator. */
const config = dictionary(text(256), 32)
const name = text(limits.nameBytes)

/** The policy of a topic, parsed. Sizes in bytes; 0 stands for "no limit" where noted. */
export const topicPolicy = object({
  /** How long messages are kept, in ms; 0: for ever. */
  retentionMs: whole(0),
  /** How many bytes of records the topic keeps, over all partitions; 0: any number. */
  maxBytes: whole(0),
  maxMessageBytes: whole(1, limits.mostMessageBytes),
  dedupWindowMs: whole(0, 86_400_000),
  /** Copies of the log that this topic wants. */
  replicas: whole(1, 7),
})
export type TopicPolicy = Checked<typeof topicPolicy>

/** A topic as the coordinator knows it. Partition n is led by the replica set `sets[n]`. */
export const topicInfo = object({
  name,
  id: whole<TopicId>(1, 0xffff_ffff),
  sets: list(whole(1), limits.partitionsPerTopic),
  policy: topicPolicy,
  createdAt: whole<TimeMs>(),
})
export type TopicInfo = Checked<typeof topicInfo>

/** A replica set, its leader and where clients reach it; `leader` 0 while none leads. */
export const setInfo = object({
  id: whole(1),
  leader: whole(0),
  epoch: whole<Epoch>(0, 0xffff_ffff),
  address: text(256),
})
export type SetInfo = Checked<typeof setInfo>

export const brokerInfo = object({
  id: whole(1),
  epoch: whole<Epoch>(0, 0xffff_ffff),
  address: text(256),
  alive: flag,
  setId: whole(1),
})
export type BrokerInfo = Checked<typeof brokerInfo>

/** Routes. Without `topics` all of them. A topic that does not exist is left out of the reply. */
export const metadata = exchange({
  type: 2,
  name: 'metadata',
  request: object({ topics: optional(list(name, 1_000)) }),
  reply: object({
    clusterId: text(64),
    topics: list(topicInfo, 1_000_000),
    sets: list(setInfo, 100_000),
    brokers: list(brokerInfo, 10_000),
  }),
})

export const topicCreate = exchange({
  type: 3,
  name: 'topic_create',
  request: object({
    name: text(1_024),
    partitions: whole(1, limits.partitionsPerTopic),
    config: optional(config),
  }),
  reply: object({ topic: topicInfo }),
})

/** Changes config keys, adds partitions, or both. */
export const topicSet = exchange({
  type: 4,
  name: 'topic_set',
  request: object({
    name: text(1_024),
    partitions: optional(whole(1, limits.partitionsPerTopic)),
    config: optional(config),
  }),
  reply: object({ topic: topicInfo }),
})

export const topicDelete = exchange({
  type: 5,
  name: 'topic_delete',
  request: object({ name: text(1_024) }),
  reply: object({ id: whole<TopicId>(1, 0xffff_ffff) }),
})

/** Gives a producer its id; never the same twice in a cluster. */
export const producerOpen = exchange({
  type: 6,
  name: 'producer_open',
  request: object({}),
  reply: object({ producerId: whole(1, 2 ** 48 - 1) }),
})
