import {
  type Checksum,
  epoch,
  firstHeldNumber,
  keysOfTopic,
  type LogPosition,
  logPosition,
  marks,
  type Offset,
  offset,
  partitionNumber,
  partitionOfKey,
  type PartitionKey,
  prepareMessage,
  producerId,
  type RecordKind,
  RecordView,
  RecordWriter,
  topicId,
  type TopicId,
  topicOfKey,
} from '@popmq/protocol'
import { encodeHorizon, type Horizon } from './horizon.ts'

/** Where a record of a sample log is, whose partition it belongs to, and its bytes. */
export interface SampleRecord {
  readonly key: PartitionKey
  readonly position: LogPosition
  readonly bytes: Uint8Array
}

export interface SampleMessage {
  readonly bodyBytes?: number
  readonly tag?: string
  readonly kind?: 'message' | 'dead'
}

interface Written {
  readonly kind: RecordKind
  readonly key: PartitionKey
  readonly body: Uint8Array
  readonly tag?: string
}

/** For tests: real records one after the other, in segments, as a leader would append them. */
export class SampleLog {
  readonly records: SampleRecord[] = []
  readonly bases: LogPosition[] = [logPosition(0)]
  readonly #crc32: Checksum
  readonly #next = new Map<PartitionKey, Offset>()
  #nextHeld = firstHeldNumber
  #end = logPosition(0)
  #timeMs = 1_000

  constructor(crc32: Checksum) {
    this.#crc32 = crc32
  }

  get end(): LogPosition {
    return this.#end
  }
  get timeMs(): number {
    return this.#timeMs
  }

  passTime(ms: number): void {
    this.#timeMs += ms
  }

  /** The next record begins a segment. */
  roll(): LogPosition {
    if (this.bases.at(-1) !== this.#end) this.bases.push(this.#end)
    return this.#end
  }

  message(
    key: PartitionKey,
    { bodyBytes = 0, tag, kind = 'message' }: SampleMessage = {},
  ): SampleRecord {
    const next = this.#next.get(key) ?? offset(0)
    this.#next.set(key, offset(next + 1))
    const body = new Uint8Array(bodyBytes)
    return this.#append(
      this.#bytes({ kind, key, body, ...(tag === undefined ? {} : { tag }) }),
      next,
    )
  }

  /** A record that waits, of a message of the partition. */
  held(key: PartitionKey, kind: 'retry' | 'delayed'): SampleRecord {
    const number = offset(this.#nextHeld)
    this.#nextHeld += 1
    return this.#append(this.#bytes({ kind, key, body: new Uint8Array(3) }), number)
  }

  /** The record once more, at the end. */
  moved({ bytes }: SampleRecord): SampleRecord {
    const record = new RecordView(bytes)
    return this.#append(bytes.slice(), record.offset, {
      appendedAt: record.appendedAt,
      set: marks.moved,
    })
  }

  horizon(horizons: readonly Horizon[]): SampleRecord {
    return this.#places('horizon', horizons)
  }

  /** Somebody takes these messages in hand, or has done with them: the `low` of each place is its offset. */
  leased(places: readonly Horizon[]): SampleRecord {
    return this.#places('leased', places)
  }
  settled(places: readonly Horizon[]): SampleRecord {
    return this.#places('settled', places)
  }

  gone(topic: TopicId): SampleRecord {
    const [key = 0 as PartitionKey] = keysOfTopic(topic)
    return this.#append(
      this.#bytes({ kind: 'topic_gone', key, body: new Uint8Array(0) }),
      offset(0),
    )
  }

  #places(kind: RecordKind, places: readonly Horizon[]): SampleRecord {
    const key = 0 as PartitionKey
    return this.#append(this.#bytes({ kind, key, body: encodeHorizon(places) }), offset(0))
  }

  #bytes({ kind, key, body, tag }: Written): Uint8Array {
    const message = prepareMessage(tag === undefined ? {} : { tag }, body)
    const bytes = new Uint8Array(message.recordBytes)
    const writer = new RecordWriter(bytes)
    writer.message(0, message, {
      kind,
      topicId: key === 0 ? topicId(0) : topicOfKey(key),
      partition: key === 0 ? partitionNumber(0) : partitionOfKey(key),
      producerId: producerId(1),
      producerEpoch: 1,
      runCount: 1,
      runBase: 0,
      messageId: new Uint8Array(16),
    })
    writer.seal(0, this.#crc32)
    return bytes
  }

  #append(
    bytes: Uint8Array,
    at: Offset,
    { appendedAt = this.#timeMs, set = 0 } = {},
  ): SampleRecord {
    const view = new RecordView(bytes)
    const position = this.#end
    view.patch({
      position,
      offset: at,
      appendedAt,
      marks: set,
      leaderEpoch: epoch(1),
      syncedPosition: position,
    })
    this.#end = logPosition(position + bytes.length)
    const key =
      view.topicId === 0
        ? (0 as PartitionKey)
        : ((view.topicId * 1_024 + view.partition) as PartitionKey)
    const record = { key, position, bytes }
    this.records.push(record)
    return record
  }
}
