import type { SettleResult, SettleVerb } from '@popmq/protocol'
import type { PartitionName } from './history.ts'

/** Names a message for a group: where it became visible. */
export interface DeliveredPlace {
  readonly group: number
  readonly partition: PartitionName
  /** Of the first copy. */
  readonly offset: number
}

/** One message as a consumer was handed it. */
export interface Handed extends DeliveredPlace {
  readonly consumer: string
  /** The broker's node. */
  readonly node: string
  /** The offset again, or the held number of a retry: what the handle names. */
  readonly number: number
  readonly value: string
  readonly attempt: number
  /** Of the group in the partition: it grows with each reset. */
  readonly generation: number
  /** The lease's token, as text. */
  readonly lease: string
  readonly invisibleMs: number
  /** When the pop was asked for, and when its answer came. */
  readonly askedMs: number
  readonly atMs: number
}

/** What one request asked about one handle, and what was answered; every request that is sent again is one more. */
export interface Settle {
  readonly handed: Handed
  readonly verb: SettleVerb
  /** By whom: any consumer may have the handle. */
  readonly consumer: string
  /** Of a nack. */
  readonly isRetriable: boolean
  readonly delayMs: number | undefined
  /** Of an extension. */
  readonly invisibleMs: number | undefined
  readonly askedMs: number
  /** Infinity: it never was. */
  answeredMs: number
  /** Absent: it may or may not be done. */
  result: SettleResult | undefined
}

interface Asked {
  readonly askedMs: number
  /** Infinity: whether it was done is not known. */
  answeredMs: number
}

/** A handle that was damaged, or shown for another group. */
export interface BadHandle {
  readonly expected: SettleResult
  readonly result: SettleResult
}

/** A pop; what one without an answer was granted nobody saw. */
export interface PopAsked extends Asked {
  readonly group: number
  readonly node: string
}

/** Operators ask for this. */
export interface Reset extends Asked {
  readonly group: number
  readonly partition: PartitionName
  readonly offset: number
}

/** A lease is taken away. */
export interface TakeBack extends Asked, DeliveredPlace {
  readonly number: number
}

/** A retry is made due, or given up. */
export interface RetryChange extends Asked, DeliveredPlace {
  readonly number: number
  readonly to: 'now' | 'dead'
  result: 'done' | 'unknown' | 'busy' | undefined
}

export interface LetterChange extends Asked {
  readonly group: number
  readonly node: string
  readonly letter: number
  readonly to: 'discarded' | 'open'
  result: string | undefined
}

/** A delayed message is cancelled, or moved. */
export interface DelayChange extends Asked {
  readonly node: string
  readonly number: number
  /** Absent: cancelled. */
  readonly deliverAt: number | undefined
  result: 'done' | 'delivered' | 'unknown' | undefined
}

/** A dead letter as it was shown at the end. */
export interface ShownLetter extends DeliveredPlace {
  readonly node: string
  readonly letter: number
  readonly state: 'open' | 'discarded' | 'reopened'
  readonly attempts: number
  readonly cause: string
  readonly told: readonly ToldAttempt[]
}

export interface ToldAttempt {
  readonly n: number
  readonly consumer: string | undefined
  readonly outcome: string
}

/** Where the messages of a partition are, as the coordinator told. */
export interface ToldState {
  readonly group: number
  readonly partition: PartitionName
  readonly high: number
  readonly ready: number
  readonly leased: number
  readonly retrying: number
  readonly parked: number
  readonly dead: number
  readonly acked: number
  readonly skipped: number
}

/** What was told once nothing was left to deliver. */
export interface DeliveryEnd {
  readonly states: readonly ToldState[]
  readonly letters: readonly ShownLetter[]
}

/** A life of a broker ended, in good order or not. */
export interface LifeEnd {
  readonly node: string
  readonly atMs: number
}

/** The wall clock of a node was set. */
export interface ClockJump {
  readonly node: string
  readonly atMs: number
  readonly skewMs: number
}

export interface GroupRules {
  readonly id: number
  readonly maxAttempts: number
  /** By how many deliveries failed; the last one repeats. */
  readonly backOffMs: readonly number[]
}

/** What was seen of deliveries. Times are those of the world. */
export interface DeliveryHistory {
  readonly groups: readonly GroupRules[]
  readonly pops: readonly PopAsked[]
  readonly handed: readonly Handed[]
  readonly settles: readonly Settle[]
  readonly badHandles: readonly BadHandle[]
  readonly resets: readonly Reset[]
  readonly takeBacks: readonly TakeBack[]
  readonly retryChanges: readonly RetryChange[]
  readonly letterChanges: readonly LetterChange[]
  readonly delayChanges: readonly DelayChange[]
  readonly lifeEnds: readonly LifeEnd[]
  readonly jumps: readonly ClockJump[]
  /** The world's wall clock at its beginning: that of a node is this, the time since, and its skew. */
  readonly wallStartMs: number
  /** Which node leads each partition. */
  readonly leaders: ReadonlyMap<PartitionName, string>
  /** Before the last power cut, and after it. */
  readonly ends: readonly DeliveryEnd[]
}

/** The history of deliveries as it is being written. */
export class DeliveryBook implements DeliveryHistory {
  readonly groups: GroupRules[] = []
  readonly pops: PopAsked[] = []
  readonly handed: Handed[] = []
  readonly settles: Settle[] = []
  readonly badHandles: BadHandle[] = []
  readonly resets: Reset[] = []
  readonly takeBacks: TakeBack[] = []
  readonly retryChanges: RetryChange[] = []
  readonly letterChanges: LetterChange[] = []
  readonly delayChanges: DelayChange[] = []
  readonly lifeEnds: LifeEnd[] = []
  readonly jumps: ClockJump[] = []
  readonly wallStartMs: number
  readonly leaders = new Map<PartitionName, string>()
  readonly ends: DeliveryEnd[] = []

  constructor(wallStartMs: number) {
    this.wallStartMs = wallStartMs
  }
}

/** Names a message for a group in one text. */
export function placeName({ group, partition, offset }: DeliveredPlace): string {
  return `${group} ${partition}@${offset}`
}
