import type { AckLevel, MqError } from '@popmq/protocol'

/** A message to send. It must not be changed before it is settled: it may be read late, when there is room for it. */
export interface OutgoingMessage {
  /** An existing topic: writing to a topic does not make it. */
  readonly topic: string
  /**
   * A Uint8Array is stored as bytes, a string as text, anything else as JSON. At most `maxMessageBytes` of the topic
   * (8 MiB unless set).
   */
  readonly value: unknown
  /** Messages of one key go to one partition, in order. At most 1,024 bytes of UTF-8. */
  readonly key?: string
  /** What consumers may filter by. At most 256 bytes of UTF-8. */
  readonly tag?: string
  /** Text by text, at most 65,536 bytes in all. */
  readonly headers?: Readonly<Record<string, string>>
  /**
   * Sending it twice within the topic's `dedupWindow` stores it once; the second receipt is the first one's with
   * `duplicate` set. At most 128 bytes of UTF-8. Without a key it also chooses the partition.
   */
  readonly dedupId?: string
  /** The partition, from 0. Absent: by `key`, else by `dedupId`, else the partitions take turns batch by batch. */
  readonly partition?: number
  /**
   * How long after its append the message becomes visible, in ms, 0..31_622_400_000 (366 days); 0: at once. It is never
   * early, and its order among others is that of their becoming visible.
   */
  readonly delayMs?: number
  /**
   * When the message becomes visible, instead of `delayMs`; a number is ms since 1970. At once when that is past; at
   * most 366 days ahead.
   */
  readonly deliverAt?: Date | number
}

/** What a broker acknowledged. */
export interface Receipt {
  readonly topic: string
  readonly partition: number
  /** Index in the partition; −1 with acks `none`, where nobody answers, and for a delayed message, which has none yet. */
  readonly offset: number
  /** Of a delayed message: names it until it is delivered, see `admin().delays()`. */
  readonly delayId?: string
  /** The message id, a UUIDv7. */
  readonly id: string
  /** When the broker appended it, in ms since 1970; −1 with acks `none`. */
  readonly appendedAt: number
  /** The level that was reached: at least the one asked for. */
  readonly acks: AckLevel
  /** Whether the dedup id was seen before: then nothing was appended, and offset and time are the first one's. */
  readonly duplicate: boolean
}

/** What became of one message of a batch: either a receipt or an error. */
export type SendResult =
  | { readonly receipt: Receipt; readonly error?: undefined }
  | { readonly receipt?: undefined; readonly error: MqError }
