import type { AckLevel } from '@popmq/protocol'
import type { DeliveryBook, DeliveryHistory } from './delivery-history.ts'
import type { GroupEvent, GroupHistory } from './group-history.ts'

/**
 *    pending → ok        acknowledged, with a receipt
 *    pending → failed    surely not stored
 *    pending → unknown   may or may not be stored
 */
export type SendState = 'pending' | 'ok' | 'failed' | 'unknown'

export interface SendReceipt {
  readonly partition: number
  readonly offset: number
  readonly appendedAt: number
  readonly duplicate: boolean
  readonly level: AckLevel
}

/** One message that a producer was asked to send. Its value is unique in the world. */
export interface Send {
  readonly value: string
  readonly producer: string
  /** Counts the messages of the producer, from 0, in the order of sending. */
  readonly index: number
  readonly topic: string
  readonly acks: AckLevel
  readonly dedupId: string | undefined
  /** The key if it has one: messages of one key lie in one partition. */
  readonly key: string | undefined
  readonly invokedMs: number
  /** It becomes visible later: its receipt has a held number, and its place is not known. */
  readonly delay?: { readonly delayMs: number } | { readonly deliverAt: number }
  state: SendState
  settledMs: number
  /** Name of the error that it ended with. */
  error: string | undefined
  receipt: SendReceipt | undefined
}

/** Names a partition of one incarnation of a topic: `7/0`. */
export type PartitionName = string

export interface ReadMessage {
  readonly offset: number
  readonly value: string
  readonly appendedAt: number
}

/** What one fetch of one partition brought. */
export interface Poll {
  readonly reader: string
  readonly partition: PartitionName
  /** The offset asked for. */
  readonly from: number
  readonly messages: readonly ReadMessage[]
  readonly low: number
  readonly high: number
  readonly next: number
  readonly atMs: number
}

/** Something that may take messages away, from the moment it was asked for. */
export type Removal =
  | { readonly kind: 'purge'; readonly partition: PartitionName; readonly before: number }
  | { readonly kind: 'delete'; readonly topic: string; readonly atMs: number }

export interface Crash {
  readonly node: string
  readonly atMs: number
}

export interface KnownTopic {
  readonly name: string
  readonly id: number
  readonly partitions: number
  /** Messages may go by age or size. */
  readonly expires: boolean
  readonly dedupWindowMs: number
}

/** Everything that was seen from outside; the checkers judge it and nothing else. */
export interface History {
  readonly sends: readonly Send[]
  readonly polls: readonly Poll[]
  readonly removals: readonly Removal[]
  /** Ends of broker processes that were not in good order. */
  readonly crashes: readonly Crash[]
  /** By id; every incarnation that was ever seen. */
  readonly topics: ReadonlyMap<number, KnownTopic>
  /** What a fresh reader found at the end, partition by partition; only of topics that still exist. */
  readonly final: ReadonlyMap<PartitionName, FinalPartition>
  /** Absent when there was no group. */
  readonly group: GroupHistory | undefined
  /** Absent when nobody popped. */
  readonly delivery: DeliveryHistory | undefined
}

export interface FinalPartition {
  readonly low: number
  readonly high: number
  readonly messages: readonly ReadMessage[]
}

export interface Violation {
  readonly checker: string
  readonly what: string
}

export type Checker = (history: History) => Violation[]

export function partitionName(topicId: number, partition: number): PartitionName {
  return `${topicId}/${partition}`
}

export function topicIdOf(partition: PartitionName): number {
  return Number(partition.slice(0, partition.indexOf('/')))
}

/** A history as it is being written. */
export class HistoryBook implements History {
  readonly sends: Send[] = []
  readonly polls: Poll[] = []
  readonly removals: Removal[] = []
  readonly crashes: Crash[] = []
  readonly topics = new Map<number, KnownTopic>()
  final = new Map<PartitionName, FinalPartition>()
  group: GroupBook | undefined
  delivery: DeliveryBook | undefined
  #pending = 0

  /** Messages that were sent and have no outcome yet. */
  get pending(): number {
    return this.#pending
  }

  sending(sends: readonly Send[]): void {
    this.#pending += sends.length
    this.sends.push(...sends)
  }

  /** One of them has its outcome, once. */
  settle(send: Send, outcome: Pick<Send, 'state' | 'settledMs'> & Partial<Send>): void {
    this.#pending -= 1
    Object.assign(send, outcome)
  }
}

/** The history of a group as it is being written. */
export class GroupBook implements GroupHistory {
  readonly from: 'earliest' | 'latest'
  readonly events: GroupEvent[] = []
  readonly progress = new Map<PartitionName, number>()

  constructor(from: 'earliest' | 'latest') {
    this.from = from
  }

  /** The place that the next event will have. */
  get place(): number {
    return this.events.length
  }
}
