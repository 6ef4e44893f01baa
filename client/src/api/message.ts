/** A message as a consumer gets it. Sections and value are decoded when they are asked for. */
export interface Message {
  readonly topic: string
  readonly partition: number
  /** Index in the partition. */
  readonly offset: number
  /** The message id, a UUIDv7. */
  readonly id: string
  readonly key: string | undefined
  readonly tag: string | undefined
  /** Empty when the message has none. */
  readonly headers: Readonly<Record<string, string>>
  readonly dedupId: string | undefined
  /** The value as it was sent: bytes, text or JSON. @throws MqError `corrupt_record` when it is not what it says */
  readonly value: unknown
  /** The raw value: a view of what the broker sent; copy what is kept for long. */
  readonly bytes: Uint8Array
  /** When the broker appended it, in ms since 1970. */
  readonly appendedAt: number
  /** When the producer made it, by the producer's clock, in ms since 1970. */
  readonly bornAt: number
  /** Which delivery this is: 1 for the first. */
  readonly attempt: number
}

/** Names one partition. */
export interface TopicPartition {
  readonly topic: string
  /** From 0. */
  readonly partition: number
}
