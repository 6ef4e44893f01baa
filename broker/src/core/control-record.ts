import {
  type Checksum,
  partitionNumber,
  prepareMessage,
  producerId,
  type RecordKind,
  RecordWriter,
} from '@popmq/protocol'
import { topicId, type TopicId } from '@popmq/protocol'

/** A record that the broker makes for itself. */
export interface ControlRecord {
  readonly kind: Exclude<RecordKind, 'message' | 'retry' | 'dead' | 'delayed'>
  /** The topic it is about, if it is about one. */
  readonly topicId?: TopicId
  readonly body: Uint8Array
}

const noMessageId = new Uint8Array(16)

/** The bytes of a control record, as they are appended. */
export function encodeControl(
  { kind, topicId: topic, body }: ControlRecord,
  crc32: Checksum,
): Uint8Array {
  const prepared = prepareMessage({}, body)
  const bytes = new Uint8Array(prepared.recordBytes)
  const writer = new RecordWriter(bytes)
  writer.message(0, prepared, {
    kind,
    topicId: topic ?? topicId(0),
    partition: partitionNumber(0),
    producerId: producerId(0),
    producerEpoch: 0,
    runCount: 1,
    runBase: 0,
    messageId: noMessageId,
  })
  writer.seal(0, crc32)
  return bytes
}
