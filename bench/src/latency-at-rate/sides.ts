/** What the processes of a measurement at a rate are told, and answer. */
import type { ExpectedArrivals } from './stamped-arrivals.ts'

export interface PaceGiven {
  readonly topic: string
  readonly sizeBytes: number
  readonly messages: number
  /** Messages per second. */
  readonly rate: number
  /** Whether each is sent by itself, or what is due together is sent as a batch. */
  readonly by: 'send' | 'sendBatch'
}

/** Histograms as text, see `LatencyHistogram`. */
export interface Paced {
  /** How late `send` was called: the measuring side's own share. */
  readonly late: string
  /** From when each was to be sent until it was acknowledged. */
  readonly acknowledged: string
  readonly messagesPerSecond: number
}

export interface OpenGiven {
  readonly topic: string
  readonly partitions: number
  /** One consumer each. @defaultValue one consumer that is in no group */
  readonly groups?: readonly string[]
}

export interface ExpectGiven extends ExpectedArrivals {
  readonly topic: string
}

export interface Arrived {
  /** Of each consumer, in the order of `groups`. */
  readonly latencies: readonly string[]
}

export interface BareGiven {
  readonly sizeBytes: number
  readonly records: number
}

export interface BareSynced {
  readonly synced: string
}
