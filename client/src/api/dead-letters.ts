import type { CallOptions } from './admin.ts'
import type { Message, TopicPartition } from './message.ts'

/** A message that a group gave up. */
export interface DeadLetter extends TopicPartition {
  /** Names the letter: its replica set and its number there. */
  readonly id: string
  /** Where the message was: its offset in topic and partition. */
  readonly offset: number
  /** The message id, a UUIDv7. */
  readonly messageId: string
  /** When it was given up, in ms since 1970. */
  readonly diedAt: number
  /** `nack` and `expired`: the last attempt that it had; `rejected`: its consumer gave it up; `operator`. */
  readonly cause: string
  /** Deliveries. */
  readonly attempts: number
  /** `reopened`: its message is delivered again since the group was reset. */
  readonly state: 'open' | 'discarded' | 'reopened'
  /** 12 hexadecimal digits that are the same for errors that are alike. */
  readonly fingerprint: string
  /** Of the last error. */
  readonly errorType?: string
  readonly error?: string
  readonly key?: string
  readonly tag?: string
}

/** One delivery that did not end in an ack. */
export interface FailedAttempt {
  /** 1 for the first delivery. */
  readonly n: number
  /** When the message was handed out, in ms since 1970. */
  readonly at: number
  /** Who had it. */
  readonly consumer?: string
  readonly heldMs: number
  readonly outcome: 'nack' | 'expired' | 'rejected'
  readonly fingerprint?: string
  /** Of the first attempt and of the last one. */
  readonly error?: { readonly type?: string; readonly message?: string; readonly stack?: string }
}

export interface ShownLetter extends DeadLetter {
  /** The failed deliveries that are told, oldest first. */
  readonly history: readonly FailedAttempt[]
  readonly message: Message
}

/** The letters of one fingerprint. */
export interface DeadLetterSummary {
  readonly fingerprint: string
  readonly errorType?: string
  /** Of the newest one. */
  readonly error?: string
  readonly count: number
  readonly open: number
  readonly firstAt: number
  readonly lastAt: number
}

/** By their ids, by what they died of, or all. */
export type LetterSelection = readonly string[] | { readonly fingerprint: string } | 'all'

/** `already`: it was so before; `unknown`: there is no such letter; `reopened`: nothing can be decided about it. */
export interface LetterResult {
  readonly id: string
  readonly result: 'done' | 'already' | 'unknown' | 'reopened'
}

/**
 * The dead letters of one group. Errors of every call: `group_not_found`, `unreachable`, `timed_out`, `aborted`,
 * `closed`, and `invalid_request` for an id or a fingerprint that is none.
 */
export interface DeadLetterAdmin {
  /** The letters, oldest first, as they are read; all unless `limit` (1 or more). */
  list(
    options?: { readonly fingerprint?: string; readonly limit?: number } & CallOptions,
  ): AsyncIterable<DeadLetter>
  /** By fingerprint, most letters first. `complete`: no broker left some out. */
  groups(
    options?: CallOptions,
  ): Promise<{ readonly groups: readonly DeadLetterSummary[]; readonly complete: boolean }>
  /** @throws MqError `message_not_found` */
  show(id: string, options?: CallOptions): Promise<ShownLetter>
  /**
   * Closes letters without delivering them; they stay readable until their retention is over. By fingerprint, or all:
   * those that are open. Durable when answered. @returns one result per letter; `[]` for none
   */
  discard(letters: LetterSelection, options?: CallOptions): Promise<LetterResult[]>
  /** Opens discarded letters again. By fingerprint, or all: those that are discarded. As `discard`. */
  restore(letters: LetterSelection, options?: CallOptions): Promise<LetterResult[]>
}
