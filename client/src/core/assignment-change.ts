import type { HeldPartition } from './held-partition.ts'

/** What an answer of the coordinator changed. */
export interface AssignmentChange {
  /** Given, or given back: to be read on at `delivered`. */
  readonly granted: HeldPartition[]
  /** Held under a newer grant: what was fetched is void, to be read at `delivered`. */
  readonly reset: HeldPartition[]
  /** To be finished, committed and released. */
  readonly revoked: HeldPartition[]
  /** Gone at once. */
  readonly lost: HeldPartition[]
}

/** When the request was sent, and when its answer came, on the monotonic clock. */
export interface AnswerTimes {
  readonly sentAt: number
  readonly now: number
}
