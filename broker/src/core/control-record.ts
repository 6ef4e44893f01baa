import { type Checksum, partitionNumber, prepareMessage, producerId, type RecordKind, sealRecord } from '@popmq/protocol'
import { topicId, type TopicId, writeMessage } from '@popmq/protocol'

/** A record that the broker makes for itself. */
export interface ControlRecord {
  readonly kind: Exclude<RecordKind, 'message'>
  /** The topic it is about, if it is about one. */
  readonly topicId?: TopicId
  readonly body: Uint8Array
}

const noMessageId = new Uint8Array(16)

/** The bytes of a control record, as they are appended. */
export function encodeControl({ kind, topicId: topic, body }: ControlRecord, crc32: Checksum): Uint8Array {
  const prepared = prepareMessage({}, body)
  const bytes = new Uint8Array(prepared.recordBytes)
  writeMessage(bytes, 0, prepared, {
    kind,
    topicId: topic ?? topicId(0),
    partition: partitionNumber(0),
    producerId: producerId(0),
    producerEpoch: 0,
    runCount: 1,
    runBase: 0,
    messageId: noMessageId,
  })
  sealRecord(bytes, 0, bytes.length, crc32)
  return bytes
}
