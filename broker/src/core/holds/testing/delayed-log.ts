import { crc32 } from '@popmq/kit/checksum'
import {
  epoch,
  firstHeldNumber,
  type LogPosition,
  logPosition,
  marks,
  offset,
  type Offset,
  RecordView,
} from '@popmq/protocol'
import { recordBytes, type WrittenRecord } from '../../sequencers/testing/written-log.ts'
import { encodeDueCopy } from '../due-copy.ts'
import { encodeHoldChanges, type HoldChange } from '../hold-change.ts'

/** For tests: a commit log whose records a view applies as they are appended. */
export class DelayedLog {
  readonly records: RecordView[] = []
  readonly #view: { apply(record: RecordView): unknown }
  #next = firstHeldNumber

  constructor(view: { apply(record: RecordView): unknown }) {
    this.#view = view
  }

  get end(): LogPosition {
    const last = this.records.at(-1)
    return logPosition(last === undefined ? 0 : last.position + last.length)
  }

  delayed(written: Partial<WrittenRecord>): RecordView {
    const at = offset(this.#next)
    this.#next += 1
    return this.take({
      kind: 'delayed',
      topic: 1,
      partition: 0,
      appendedAt: 1,
      ...written,
      offset: at,
    })
  }

  /** The message becomes visible. */
  fired(record: RecordView): RecordView {
    return this.takeBytes(encodeDueCopy(record, { at: 1, crc32 }), offset(0))
  }

  changed(changes: readonly HoldChange[]): void {
    const value = encodeHoldChanges(changes)
    this.take({
      kind: 'hold_changed',
      topic: 0,
      partition: 0,
      offset: offset(0),
      appendedAt: 1,
      value,
    })
  }

  gone(topic: number): void {
    this.take({ kind: 'topic_gone', topic, partition: 0, offset: offset(0), appendedAt: 1 })
  }

  /** Cleaning appends the record again. */
  moved(record: RecordView): RecordView {
    const bytes = record.bytes.slice()
    return this.takeBytes(bytes, record.offset, {
      appendedAt: record.appendedAt,
      marks: marks.moved,
    })
  }

  take(written: WrittenRecord): RecordView {
    return this.takeBytes(recordBytes(written), written.offset, written)
  }

  takeBytes(
    bytes: Uint8Array,
    at: Offset,
    { appendedAt, marks: set = 0 }: { readonly appendedAt: number; readonly marks?: number } = {
      appendedAt: 1,
    },
  ): RecordView {
    const record = new RecordView(bytes)
    const placed = { leaderEpoch: epoch(1), syncedPosition: logPosition(0) }
    record.patch({ ...placed, position: this.end, offset: at, appendedAt, marks: set })
    this.records.push(record)
    this.#view.apply(record)
    return record
  }
}
