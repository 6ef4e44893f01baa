import type { RecordView, TopicId } from '@popmq/protocol'

/**
 * State that advances when a record is appended, before it is synced or committed, and decides what the next append
 * may be. Its truth is the log: after a restart or a truncation it is the snapshot taken at a position E, with every
 * record from E on observed in log order. E lies between two runs, never inside one.
 */
export interface Sequencer {
  /** Takes in a record that was found in the log. Its crc and fold have been checked. */
  observe(record: RecordView): void
  /** A snapshot: little-endian, a version byte first. The same history gives the same bytes. */
  encode(): Uint8Array
  /**
   * Replaces all state by that of a snapshot whose checksum the caller has checked.
   * @throws MqError `newer_format` for another version, AssertionError for malformed bytes; the state is then as before
   */
  restore(bytes: Uint8Array): void
  /** Forgets everything: the state before the first record. */
  clear(): void
  /** Drops all state of a deleted topic. Its id is never used again. */
  forgetTopic(topicId: TopicId): void
}
