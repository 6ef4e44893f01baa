import type { TopicPartition } from './message.ts'

/** How many messages of a partition are in each state for a group. Together they are `high`: all there ever were. */
export interface MessageStates {
  /** Can be handed out now. */
  readonly ready: number
  /** Handed out, and not settled. */
  readonly leased: number
  /** Failed, and waiting for their next delivery. */
  readonly retrying: number
  /** Waiting behind a failed message of the same key. */
  readonly parked: number
  /** Given up, and not discarded. */
  readonly dead: number
  readonly acked: number
  /** Filtered out, expired, discarded, or passed by with a start or a reset. */
  readonly skipped: number
  /** How long ago the oldest message in the state was appended, in ms, by the servers' clocks; absent: there is none. */
  readonly readyAgeMs?: number
  readonly leasedAgeMs?: number
  readonly retryingAgeMs?: number
  readonly deadAgeMs?: number
}

/** A message that a consumer has. */
export interface InflightMessage extends TopicPartition {
  /** `topic/partition/offset`, or the id of the retry that it is. */
  readonly id: string
  readonly offset: number
  /** 1 for the first delivery. */
  readonly attempt: number
  readonly consumer: string
  /** Since when, and until when unless it is extended, in ms since 1970. */
  readonly since: number
  readonly until: number
}

export interface InflightList {
  /** Sorted by topic, partition and offset. */
  readonly messages: readonly InflightMessage[]
  /** Whether `messages` has all of them. */
  readonly complete: boolean
}

/** A message that failed and waits to be delivered again. */
export interface WaitingRetryMessage extends TopicPartition {
  readonly id: string
  readonly offset: number
  /** Deliveries so far. */
  readonly attempts: number
  readonly dueAt: number
  /** `due` when only a consumer is missing; `leased` while one has it. */
  readonly state: 'waiting' | 'due' | 'leased'
  /** Of the last error, when one was told. */
  readonly fingerprint?: string
}

export interface RetryList {
  /** Soonest first. */
  readonly messages: readonly WaitingRetryMessage[]
  /** Whether `messages` has all of them; if not, others may be due sooner. */
  readonly complete: boolean
}

/** `unknown`: it is not in flight. */
export interface ReleaseResult {
  readonly id: string
  readonly result: 'released' | 'unknown'
}

/** `busy`: a consumer has it, or it is being moved; `unknown`: there is no such retry. */
export interface RetryChangeResult {
  readonly id: string
  readonly result: 'done' | 'unknown' | 'busy'
}
