import type { CallOptions } from './admin.ts'
import type { InflightList, MessageStates, ReleaseResult } from './group-waiting.ts'
import type { RetryChangeResult, RetryList } from './group-waiting.ts'
import type { TopicPartition } from './message.ts'
import type { ReadFrom } from './pull-consumer.ts'

/** Keys as users write them: `{ sessionTimeout: '10s', assignor: 'range' }`. */
export type GroupConfig = Readonly<Record<string, string>>

export interface GroupOverview {
  readonly name: string
  readonly id: number
  /** `rebalancing` while a partition is between two members. */
  readonly state: 'empty' | 'stable' | 'rebalancing'
  readonly members: number
  readonly topics: readonly GroupTopic[]
}

export interface GroupTopic {
  readonly name: string
  readonly mode: 'pull' | 'broadcast' | 'pop'
  /** Absent: every message. */
  readonly tags?: readonly string[]
  readonly isPaused: boolean
}

/** The policy of a group, parsed. */
export interface GroupPolicyDescription {
  readonly assignor: string
  readonly sessionMs: number
  /** Deliveries before a message is dead; the first one counts. */
  readonly maxAttempts: number
  /** As written: `exp:1s..10m`, `200ms`, `1s,10s,1m`. */
  readonly backoff: string
  readonly invisibleMs: number
  readonly order: 'none' | 'key'
  readonly onFailure: 'park' | 'block' | 'skip'
  readonly deadRetentionMs: number
  readonly outageBrake: 'on' | 'off'
  /** 0: any number. */
  readonly maxInFlight: number
  readonly maxInFlightPerConsumer: number
}

export interface GroupMember {
  readonly memberId: string
  /** The static name. */
  readonly member?: string
  /** Who it says that it is. */
  readonly client?: string
  /** Where it connects from. */
  readonly remote: string
  /** `detached`: its connection has closed; `recovering`: not heard yet since another coordinator leads. */
  readonly state: 'live' | 'detached' | 'recovering'
  readonly joinedAt: number
  readonly topics: readonly string[]
  readonly partitions: readonly HeldTopicPartition[]
  /** Held still, and being given back. */
  readonly revoking: readonly HeldTopicPartition[]
}

export interface HeldTopicPartition extends TopicPartition {
  /** Of the grant: grows with each change of ownership. */
  readonly epoch: number
}

export interface PartitionProgress extends TopicPartition {
  /** Of a static broadcast member; absent: of the group. */
  readonly member?: string
  /** The next offset to read. */
  readonly offset: number
}

export interface GroupDescription extends GroupOverview {
  readonly policy: GroupPolicyDescription
  readonly memberList: readonly GroupMember[]
  /** Sorted by topic, partition and member. */
  readonly progress: readonly PartitionProgress[]
}

export interface PartitionLag extends TopicPartition {
  readonly member?: string
  /** The next offset to read; below `low` when messages were let go unread; −1 where the group pops. */
  readonly committed: number
  readonly low: number
  readonly high: number
  /**
   * Messages that can be read and are not committed; filtered ones count until they are passed by. Where the group
   * pops: those that can be handed out.
   */
  readonly messages: number
  /** How long ago the first of them was appended, in ms; 0 when there is none, undefined when it could not be told. */
  readonly lagMs: number | undefined
  /** Absent for the progress of a broadcast member. */
  readonly states?: MessageStates
}

/** Where all messages of a group are. */
export interface GroupStates {
  /** By topic, partition and member, sorted. */
  readonly partitions: readonly PartitionLag[]
  /** Partitions whose broker did not answer: nothing is known of them now. */
  readonly unknown: readonly TopicPartition[]
  /** Messages that wait for their time, by topic: no group has them yet. */
  readonly delayed: readonly { readonly topic: string; readonly count: number }[]
}

export interface ProgressMove {
  readonly partition: number
  /** Absent: the group had none. */
  readonly from?: number
  readonly to: number
}

export interface ResetOptions extends CallOptions {
  /** Where to read on: an offset, the first message kept, behind the newest one, or the first one since a time. */
  readonly to: ReadFrom
  /** Tells what would be done. @defaultValue false */
  readonly dryRun?: boolean
  /** Only these. @defaultValue all partitions of the topic */
  readonly partitions?: readonly number[]
  /** Who asks, for the audit; at most 256 bytes. */
  readonly operator?: string
}

export interface GroupRebalance {
  /** Grows by one with each of the group. */
  readonly number: number
  readonly at: number
  /** What led to it: `member_joined`, `member_left`, `session_over`, `topic_changed`, `policy_changed`, `reset`, … */
  readonly triggers: readonly string[]
  readonly assignor: string
  /** Why the assignor asked for was not used. */
  readonly fallback?: string
  readonly members: number
  readonly partitions: number
  readonly moves: readonly GroupMove[]
}

export interface GroupMove extends HeldTopicPartition {
  /** Absent: nobody had it, or nobody has it now. */
  readonly from?: string
  readonly to?: string
  /** How long nobody read it, in ms; absent while that lasts. */
  readonly darkMs?: number
}

/**
 * Looks at groups and changes them. Errors of every call: `unreachable`, `timed_out`, `aborted`, `closed`, and those named
 * beside it; `group_not_found` for a group that does not exist, except where one is made.
 */
export interface GroupAdmin {
  /** All groups, sorted by name. @returns `[]` when there are none */
  list(options?: CallOptions): Promise<GroupOverview[]>
  describe(group: string, options?: CallOptions): Promise<GroupDescription>
  /** The policy: what was set, and the defaults. */
  config(group: string, options?: CallOptions): Promise<GroupPolicyDescription>
  /**
   * Changes policy keys; those left out stay. Makes the group if it is new.
   * @throws MqError `invalid_name`, `invalid_config`
   */
  setConfig(
    group: string,
    config: GroupConfig,
    options?: CallOptions,
  ): Promise<GroupPolicyDescription>
  /** The members, sorted by id. @returns `[]` when there are none */
  members(group: string, options?: CallOptions): Promise<GroupMember[]>
  /**
   * How far behind the group is, by topic and partition, sorted. @returns `[]` when it has read nothing
   * @throws MqError `unreachable` when that of a partition is not known: `states` tells the others
   */
  lag(group: string, options?: CallOptions): Promise<PartitionLag[]>
  /** As `lag`, with what is delayed, and with the partitions of which nothing is known. */
  states(group: string, options?: CallOptions): Promise<GroupStates>
  /** What consumers have in hand, at most `limit` (1..100_000, default 1_000). */
  inflight(
    group: string,
    options?: { readonly limit?: number } & CallOptions,
  ): Promise<InflightList>
  /**
   * Takes messages from the consumers that have them: they are handed out again at once, and the attempt counts.
   * @returns a result per id, in order @throws MqError `invalid_request` for an id that is none
   */
  releaseInflight(
    group: string,
    ids: readonly string[],
    options?: CallOptions,
  ): Promise<ReleaseResult[]>
  /** The failed messages that wait for their next delivery, at most `limit` (1..100_000, default 1_000). */
  retries(group: string, options?: { readonly limit?: number } & CallOptions): Promise<RetryList>
  /** Has retries delivered now. Durable when answered. As `releaseInflight`. */
  retryNow(
    group: string,
    ids: readonly string[],
    options?: CallOptions,
  ): Promise<RetryChangeResult[]>
  /** Gives retries up: they go to the dead letters. Durable when answered. As `releaseInflight`. */
  retryDead(
    group: string,
    ids: readonly string[],
    options?: CallOptions,
  ): Promise<RetryChangeResult[]>
  /**
   * Sets the progress of a topic, also back: members go on there, and what they have in hand cannot be committed any
   * more. An offset for all partitions is moved to the nearer bound of each; for named ones it must lie within.
   * @throws MqError `topic_not_found`, `partition_not_found`, `offset_out_of_range`
   */
  resetProgress(group: string, topic: string, options: ResetOptions): Promise<ProgressMove[]>
  /** Delivers nothing of a topic, or of all topics of the group, until `resume`. @returns the topics of the group */
  pause(group: string, options?: { readonly topic?: string } & CallOptions): Promise<GroupTopic[]>
  resume(group: string, options?: { readonly topic?: string } & CallOptions): Promise<GroupTopic[]>
  /** Removes a group and its progress. @throws MqError `group_in_use` while it has members */
  delete(group: string, options?: CallOptions): Promise<void>
  /** The latest rebalances, newest first; `limit` 1..100, default 20. */
  rebalances(
    group: string,
    options?: { readonly limit?: number } & CallOptions,
  ): Promise<GroupRebalance[]>
}
