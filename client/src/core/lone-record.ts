import { type Checksum, decodeSource, MqError, readSections, RecordView } from '@popmq/protocol'
import type { Message } from '../api/message.ts'
import { ReceivedMessage } from './received-message.ts'

/** What users are told of where a message is. */
export interface MessagePlace {
  readonly topic: string
  readonly partition: number
  readonly offset: number
}

/**
 * The one record of a reply as a message. One that tells where it comes from is as old as its first copy, and `attempt`
 * is the last delivery that it had.
 * @throws MqError `corrupt_record` when it is not as it was written
 */
export function readLoneRecord(bytes: Uint8Array, place: MessagePlace, crc32: Checksum): Message {
  const view = new RecordView(bytes)
  if (!view.fits(bytes.length) || view.length !== bytes.length || !view.foldHolds())
    throw corrupt(place)
  if (!view.crcHolds(crc32)) throw corrupt(place)
  const { topic, partition, offset } = place
  const message = new ReceivedMessage({ topic, partition, bytes, view }, 0, offset)
  const { source } = readSections(view)
  if (source === undefined) return message
  const { firstAppendedAt: appendedAt, attempts } = decodeSource(source)
  const { id, key, tag, headers, dedupId, bornAt } = message
  return {
    ...{ topic, partition, offset, id, key, tag, headers, dedupId, appendedAt, bornAt },
    attempt: Math.max(1, attempts),
    bytes: message.bytes,
    get value() {
      return message.value
    },
  }
}

function corrupt({ topic, partition }: MessagePlace): MqError {
  const what = `the record of a message of partition ${partition} of topic ${topic} is corrupt`
  return new MqError('corrupt_record', what, { facts: { topic, partition } })
}
