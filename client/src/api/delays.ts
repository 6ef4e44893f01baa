import type { CallOptions } from './admin.ts'
import type { Message, TopicPartition } from './message.ts'

/** A message that becomes visible later. */
export interface DelayedMessage extends TopicPartition {
  /** Names it until it is delivered or cancelled: the `delayId` of its receipt. */
  readonly id: string
  /** When it becomes visible, in ms since 1970. */
  readonly dueAt: number
  /** Bytes of its record. */
  readonly bytes: number
}

export interface DelayedList {
  /** Soonest first. */
  readonly messages: readonly DelayedMessage[]
  /** All that wait for their time in the topic. */
  readonly total: number
  /** Whether `messages` has all of them; if not, others may be due sooner. */
  readonly complete: boolean
}

export interface ShownDelay extends DelayedMessage {
  /** With offset −1: it has none before it is visible. */
  readonly message: Message
}

/**
 * What became of a change: `done`: it is never delivered, or not before its new time; `delivered`: it was visible
 * already, and nothing was changed; `unknown`: there is no such delayed message.
 */
export type DelayResult = 'done' | 'delivered' | 'unknown'

/**
 * Looks at delayed messages and changes them. Errors of every call: `unreachable`, `timed_out`, `aborted`, `closed`,
 * `invalid_request` for an id that is none, and those named beside it.
 */
export interface DelayAdmin {
  /**
   * The delayed messages of a topic, at most `limit` (1..100_000, default 1_000).
   * @throws MqError `topic_not_found`
   */
  list(topic: string, options?: { readonly limit?: number } & CallOptions): Promise<DelayedList>
  /** @throws MqError `message_not_found` once it was delivered or cancelled */
  show(id: string, options?: CallOptions): Promise<ShownDelay>
  /** Has it never delivered. Durable when answered. */
  cancel(id: string, options?: CallOptions): Promise<DelayResult>
  /**
   * Has it delivered at another time; a time that is past: at once. Durable when answered. @returns with `done` the time
   * @throws MqError `invalid_request` for a time more than 366 days ahead
   */
  move(
    id: string,
    at: Date | number,
    options?: CallOptions,
  ): Promise<{ readonly result: DelayResult; readonly dueAt?: number }>
}
