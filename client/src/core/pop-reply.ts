import { assert } from '@popmq/kit'
import { type Checksum, decodeSource, isMqError, kindName, MqError, quoted } from '@popmq/protocol'
import { type PoppedRun, type RecordSource, readSections, RecordView } from '@popmq/protocol'
import { formatLease } from './handle.ts'
import { LeasedMessage, type LeasedRun } from './leased-message.ts'
import { type MessageSource, ReceivedMessage } from './received-message.ts'

export interface PopReplyDeps {
  readonly crc32: Checksum
  /** The name of a topic that was asked for. */
  readonly nameOf: (topicId: number) => string | undefined
}

export interface PoppedMessages {
  readonly messages: readonly LeasedMessage[]
  /** `corrupt_record` when some are not as they were written: they are left out. */
  readonly error: MqError | undefined
}

/**
 * Reads the answer to a pop, verifying each record. Where one is damaged the rest of its run is left out with it, since
 * its length may be what is wrong; the other runs have their bytes named.
 */
export function readPopped(
  { runs, bytes }: { readonly runs: readonly PoppedRun[]; readonly bytes: Uint8Array },
  deps: PopReplyDeps,
): PoppedMessages {
  const messages: LeasedMessage[] = []
  let error: MqError | undefined
  let at = 0
  for (const run of runs) {
    const ofRun = bytes.subarray(at, at + run.bytes)
    at += run.bytes
    try {
      readRun(run, { bytes: ofRun, into: messages }, deps)
    } catch (thrown) {
      if (!isMqError(thrown)) throw thrown
      error ??= thrown
    }
  }
  return { messages, error }
}

interface RunBytes {
  readonly bytes: Uint8Array
  readonly into: LeasedMessage[]
}

/** @throws MqError `corrupt_record`; those before it were added */
function readRun(run: PoppedRun, { bytes, into }: RunBytes, deps: PopReplyDeps): void {
  const topic = deps.nameOf(run.topicId)
  if (topic === undefined) throw corrupt(run, `topic ${run.topicId} was not asked for`)
  const { topicId, partition, attempt, until } = run
  const view = new RecordView(bytes)
  const source: MessageSource = { topic, partition, bytes, view }
  const lease = formatLease(run.lease)
  const shared = { source, topicId, partition, lease, attempt, leasedUntil: until }
  let at = 0
  for (let read = 0; read < run.count; read += 1) {
    const record = view.move(bytes, at)
    const why = whyCorrupt(record, run, deps.crc32)
    if (why !== undefined) throw corrupt(run, why)
    const { end } = record
    into.push(leased(record, shared))
    at = end
  }
  if (at !== bytes.length) throw corrupt(run, 'more bytes than records were sent')
}

function leased(record: RecordView, run: LeasedRun): LeasedMessage {
  const { start, offset: number } = record
  if (kindName(record.kind) === 'message')
    return new LeasedMessage(new ReceivedMessage(run.source, start, number), run)
  const { offset, firstAppendedAt } = sourceOf(record)
  const message = new ReceivedMessage(run.source, start, offset)
  return new LeasedMessage(message, run, { number, firstAppendedAt })
}

/** @throws MqError `corrupt_record` */
function sourceOf(record: RecordView): RecordSource {
  const { source } = readSections(record)
  assert(source === undefined || source.length > 0, 'a section that is there has bytes')
  if (source === undefined) {
    throw new MqError('corrupt_record', 'a retried message does not tell where it was first')
  }
  return decodeSource(source)
}

function whyCorrupt(record: RecordView, run: PoppedRun, crc32: Checksum): string | undefined {
  if (!record.fits(record.bytes.length)) return 'it does not end within the reply'
  if (!record.foldHolds()) return 'the words that the broker wrote were changed'
  if (!record.crcHolds(crc32)) return 'the bytes that its producer wrote were changed'
  const isOfRun = record.topicId === run.topicId && record.partition === run.partition
  if (!isOfRun) return 'it belongs to another partition'
  const kind = kindName(record.kind)
  return kind === 'message' || kind === 'retry' ? undefined : 'it is no message'
}

function corrupt({ topicId, partition }: PoppedRun, why: string): MqError {
  const what = `a popped record of partition ${partition} of topic ${quoted(String(topicId))} is corrupt: ${why}`
  return new MqError('corrupt_record', what, { facts: { topicId, partition } })
}
