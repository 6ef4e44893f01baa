import type { DeadLetterAdmin } from './dead-letters.ts'
import type { DelayAdmin } from './delays.ts'
import type { GroupAdmin } from './group-admin.ts'
import type { Message } from './message.ts'
import type { PartitionOffset } from './pull-consumer.ts'

/** Every call takes a signal, whose abort rejects with `aborted`: the change may have been made all the same. */
export interface CallOptions {
  readonly signal?: AbortSignal
}

/** Keys as users write them: `{ retention: '72h', dedupWindow: '2m', maxMessageBytes: '8388608' }`. */
export type TopicConfig = Readonly<Record<string, string>>

export interface TopicDescription {
  readonly name: string
  /** Number of this incarnation: a topic deleted and made again has another. */
  readonly id: number
  readonly createdAt: number
  readonly policy: {
    /** 0: for ever. */
    readonly retentionMs: number
    /** 0: any number. */
    readonly maxBytes: number
    readonly maxMessageBytes: number
    readonly dedupWindowMs: number
    readonly replicas: number
  }
  readonly partitions: readonly PartitionDescription[]
}

export interface PartitionDescription {
  readonly partition: number
  /** The replica set that holds it. */
  readonly set: number
  /** Id of the broker that leads it; 0 while none does. */
  readonly leader: number
  /** Where clients reach the leader; empty while there is none. */
  readonly address: string
}

export interface PartitionOffsets {
  readonly partition: number
  /** The first offset kept. */
  readonly low: number
  /** The next offset to be visible. */
  readonly high: number
  /** The first offset at or after the time asked for, `high` when nothing is that new; undefined without a time. */
  readonly offset: number | undefined
}

export interface ClusterDescription {
  readonly clusterId: string
  /** Where the coordinator that leads is: host:port. */
  readonly leader: string
  /** Grows with each change of leader. */
  readonly leaderEpoch: number
  /** Those with a session, by id. */
  readonly coordinators: readonly { readonly id: number; readonly address: string }[]
  /** All that ever started, by id. */
  readonly brokers: readonly {
    readonly id: number
    readonly epoch: number
    readonly address: string
    /** `live`: in touch with the coordinator; `recovering`: not heard yet since another leads; `detached`, `ended`. */
    readonly state: 'live' | 'detached' | 'recovering' | 'ended'
    /** Whether it is `live`. */
    readonly alive: boolean
    readonly set: number
  }[]
  readonly topics: number
  readonly partitions: number
  readonly groups: number
}

/**
 * Makes, changes and looks at topics. Errors of every call: `unreachable`, `timed_out`, `aborted`, `closed`, and those
 * named beside it. A call is tried again while that is harmless, for at most 30 s.
 */
export interface Admin {
  /**
   * Makes a topic of `partitions` (1..1_024, default 8).
   * @throws MqError `topic_exists`, `invalid_name`, `invalid_config`, `no_brokers`
   */
  createTopic(
    name: string,
    options?: { readonly partitions?: number; readonly config?: TopicConfig } & CallOptions,
  ): Promise<TopicDescription>
  /** All topics, sorted by name. @returns `[]` when there are none */
  listTopics(options?: CallOptions): Promise<TopicDescription[]>
  /** @throws MqError `topic_not_found` */
  describeTopic(name: string, options?: CallOptions): Promise<TopicDescription>
  /**
   * Changes config keys, adds partitions, or both; those left out stay.
   * @throws MqError `topic_not_found`, `invalid_config`, `topic_busy`
   */
  setTopic(
    name: string,
    options: { readonly partitions?: number; readonly config?: TopicConfig } & CallOptions,
  ): Promise<TopicDescription>
  /** Deletes the topic and its messages for good. @throws MqError `topic_not_found` */
  deleteTopic(name: string, options?: CallOptions): Promise<void>
  /**
   * Makes messages unreadable for good and gives their disk space back in time: those below an offset, those appended
   * before a time, or all that are visible now (default). `partition` absent: all partitions.
   * @returns the bounds of the partitions after it
   * @throws MqError `topic_not_found`, `partition_not_found`, `offset_out_of_range`
   */
  purgeTopic(
    name: string,
    options?: { readonly before?: number | Date; readonly partition?: number } & CallOptions,
  ): Promise<PartitionOffsets[]>
  /**
   * The bounds of each partition, and with `at` the first offset appended at or after that time.
   * @throws MqError `topic_not_found`
   */
  offsets(name: string, options?: { readonly at?: Date } & CallOptions): Promise<PartitionOffsets[]>
  /** Who leads, the coordinators and brokers, and how much there is. */
  cluster(options?: CallOptions): Promise<ClusterDescription>
  /**
   * The message at an offset.
   * @throws MqError `topic_not_found`, `partition_not_found`, `offset_out_of_range`, `message_not_found`
   */
  messageAt(place: PartitionOffset, options?: CallOptions): Promise<Message>
  /** Consumer groups: members, progress, lag, policy. */
  groups(): GroupAdmin
  /** Messages that become visible later. */
  delays(): DelayAdmin
  /** The messages that a group gave up. */
  deadLetters(group: string): DeadLetterAdmin
}
