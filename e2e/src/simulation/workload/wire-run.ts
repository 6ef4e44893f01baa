import { crc32 } from '@popmq/kit/checksum'
import {
  type MessageIds,
  partitionNumber,
  prepareMessage,
  producerId,
  RecordWriter,
  type RunResult,
  topicId,
} from '@popmq/protocol'
import type { Send, SendReceipt } from '../history.ts'

/** Where a run goes and how it is numbered. */
export interface RunPlace {
  readonly topicId: number
  readonly partition: number
  readonly producerId: number
  readonly producerEpoch: number
  readonly base: number
}

/** The records of one run, as a producer's client writes them. */
export function encodeRun(
  sends: readonly Send[],
  place: RunPlace,
  ids: { next: MessageIds['next']; nowMs: number },
): Uint8Array {
  const prepared = sends.map(({ value, key, dedupId, delay }) =>
    prepareMessage(
      {
        ...(key === undefined ? {} : { key }),
        ...(dedupId === undefined ? {} : { dedupId }),
        ...delay,
      },
      value,
    ),
  )
  // A run is of one kind.
  const kind = sends[0]?.delay === undefined ? 'message' : 'delayed'
  const bytes = new Uint8Array(prepared.reduce((sum, { recordBytes }) => sum + recordBytes, 0))
  const writer = new RecordWriter(bytes)
  let at = 0
  for (const message of prepared) {
    writer.message(at, message, {
      kind,
      topicId: topicId(place.topicId),
      partition: partitionNumber(place.partition),
      producerId: producerId(place.producerId),
      producerEpoch: place.producerEpoch,
      runCount: prepared.length,
      runBase: place.base,
      messageId: ids.next(ids.nowMs),
    })
    at = writer.seal(at, crc32)
  }
  return bytes
}

/** One receipt per message of a run, in order. */
export function receiptsOf(count: number, partition: number, result: RunResult): SendReceipt[] {
  const { baseOffset = 0, appendedAt = 0, level = 'received', deduplicated = [] } = result
  const dropped = new Map(deduplicated.map((entry) => [entry.index, entry]))
  let offset: number = baseOffset
  return Array.from({ length: count }, (_, index): SendReceipt => {
    const first = dropped.get(index)
    if (first !== undefined) {
      return {
        partition: first.partition,
        offset: first.offset,
        appendedAt: first.appendedAt,
        duplicate: true,
        level,
      }
    }
    offset += 1
    return { partition, offset: offset - 1, appendedAt, duplicate: false, level }
  })
}
