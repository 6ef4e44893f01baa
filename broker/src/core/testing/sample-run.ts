import { crc32 } from '@popmq/kit/checksum'
import { partitionNumber, prepareMessage, producerId, RecordWriter, topicId } from '@popmq/protocol'
import type { MessageSections, RecordKind } from '@popmq/protocol'

/** For tests: a run as a producer's client writes it. */
export interface SampleRun {
  readonly kind?: RecordKind
  readonly topic?: number
  readonly partition?: number
  readonly producer?: number
  readonly producerEpoch?: number
  readonly base?: number
  readonly values: readonly (string | Uint8Array)[]
  readonly sections?: (index: number) => MessageSections
}

export function sampleRun({
  kind = 'message',
  topic = 1,
  partition = 0,
  producer = 0,
  producerEpoch = 0,
  base = 0,
  ...run
}: SampleRun): Uint8Array {
  const prepared = run.values.map((value, index) =>
    prepareMessage(run.sections?.(index) ?? {}, value),
  )
  const bytes = new Uint8Array(prepared.reduce((sum, { recordBytes }) => sum + recordBytes, 0))
  const writer = new RecordWriter(bytes)
  let at = 0
  for (const message of prepared) {
    writer.message(at, message, {
      kind,
      topicId: topicId(topic),
      partition: partitionNumber(partition),
      producerId: producerId(producer),
      producerEpoch,
      runCount: prepared.length,
      runBase: base,
      messageId: new Uint8Array(16).fill(prepared.length),
    })
    at = writer.seal(at, crc32)
  }
  return bytes
}
