import { crc32 } from '@popmq/kit/checksum'
import {
  epoch,
  logPosition,
  type LogPosition,
  marks,
  type Offset,
  partitionNumber,
  prepareMessage,
  producerId,
  RecordWriter,
  type RecordKind,
  RecordView,
  topicId,
} from '@popmq/protocol'
import type { Sequencer } from '../sequencer.ts'

/** A record before it is written: producer fields 0 when left out. */
export interface WrittenRecord {
  readonly kind?: RecordKind
  readonly topic: number
  readonly partition: number
  readonly offset: Offset
  readonly appendedAt: number
  readonly marks?: number
  readonly producer?: number
  readonly producerEpoch?: number
  readonly base?: number
  readonly count?: number
  readonly value?: string | Uint8Array
  readonly dedupId?: string
  readonly key?: string
  readonly deliverAt?: number
  readonly delayMs?: number
  readonly source?: Uint8Array
}

/** A commit log in memory for tests: real record bytes, one array a record. */
export class WrittenLog {
  readonly #records: RecordView[] = []

  get end(): LogPosition {
    const last = this.#records.at(-1)
    return logPosition(last === undefined ? 0 : last.position + last.length)
  }

  get size(): number {
    return this.#records.length
  }

  at(index: number): RecordView | undefined {
    return this.#records[index]
  }

  append(written: WrittenRecord): RecordView {
    const bytes = recordBytes(written)
    return this.#place(bytes, written)
  }

  /** Appends a copy of a record, as cleaning does. */
  move(record: RecordView): void {
    this.#place(record.bytes.slice(), {
      offset: record.offset,
      appendedAt: record.appendedAt,
      marks: record.marks | marks.moved,
    })
  }

  /** Forgets the records from `size` on. */
  cut(size: number): void {
    this.#records.splice(size)
  }

  /** Has the records from the one at `index` on observed. */
  replay(sequencer: Sequencer, index = 0): void {
    for (const record of this.#records.slice(index)) sequencer.observe(record)
  }

  #place(
    bytes: Uint8Array,
    placed: Pick<WrittenRecord, 'offset' | 'appendedAt' | 'marks'>,
  ): RecordView {
    const record = new RecordView(bytes)
    record.patch({
      position: this.end,
      offset: placed.offset,
      appendedAt: placed.appendedAt,
      marks: placed.marks ?? 0,
      leaderEpoch: epoch(1),
      syncedPosition: logPosition(0),
    })
    this.#records.push(record)
    return record
  }
}

/** The record as its producer sends it. */
export function recordBytes(written: Omit<WrittenRecord, 'offset' | 'appendedAt'>): Uint8Array {
  const { dedupId, key, deliverAt, delayMs, source } = written
  const sections = {
    ...(dedupId === undefined ? {} : { dedupId }),
    ...(key === undefined ? {} : { key }),
    ...(deliverAt === undefined ? {} : { deliverAt }),
    ...(delayMs === undefined ? {} : { delayMs }),
    ...(source === undefined ? {} : { source }),
  }
  const message = prepareMessage(sections, written.value ?? '')
  const bytes = new Uint8Array(message.recordBytes)
  const writer = new RecordWriter(bytes)
  writer.message(0, message, {
    topicId: topicId(written.topic),
    partition: partitionNumber(written.partition),
    kind: written.kind ?? 'message',
    producerId: producerId(written.producer ?? 0),
    producerEpoch: written.producerEpoch ?? 0,
    runCount: written.count ?? 0,
    runBase: written.base ?? 0,
    messageId: new Uint8Array(16),
  })
  writer.seal(0, crc32)
  return bytes
}
