import type { LogPosition, Offset, PartitionKey } from '@popmq/protocol'
import type { ControlRecord } from '../control-record.ts'

/** The log as deliveries write and read it. */
export interface DeliveryLog {
  /** A patient record does not begin a sync: it rides on the next. @throws MqError when the log takes nothing now */
  appendControl(control: ControlRecord, options?: { readonly isPatient?: boolean }): LogPosition
  /** @throws MqError when the log takes nothing now, `message_too_large` */
  appendCopy(
    bytes: Uint8Array,
    key: PartitionKey,
  ): { readonly offset: Offset; readonly end: LogPosition }
  /** Resolves when everything below `end` is synced and applied. @throws MqError `outcome_unknown` */
  whenDone(end: LogPosition): Promise<void>
  /** The bytes of these records, in their order. */
  read(places: readonly RecordPlace[]): Promise<Uint8Array[]>
  /** The bytes of one record, side by side. */
  readOne(place: RecordPlace): Promise<Uint8Array>
  /** Runs `reading` while what it looks up cannot go. */
  pinned<T>(reading: () => Promise<T>): Promise<T>
  /** Appended and not yet applied: calls `drop` then. */
  until(end: LogPosition, drop: () => void): void
}

/** Where a record is. */
export interface RecordPlace {
  readonly position: LogPosition
  readonly bytes: number
}
