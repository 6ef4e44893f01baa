import {
  type Checksum,
  flags,
  MqError,
  type PartitionKey,
  type PartitionNumber,
  recordFields,
  recordKinds,
  RecordView,
} from '@popmq/protocol'
import { limits, sectionsHold, type TimeMs, type TopicId } from '@popmq/protocol'
import { dueWishOf } from './holds/due-time.ts'
import { foldRunCrc } from './sequencers/index.ts'

/** One run as a producer sent it: its records, contiguous. */
export interface IncomingRun {
  readonly key: PartitionKey
  readonly topicId: TopicId
  readonly partition: PartitionNumber
  readonly count: number
  readonly bytes: Uint8Array
  readonly maxMessageBytes: number
}

/** What the records of a run agree on. */
export interface RunIdentity {
  readonly producerId: number
  readonly producerEpoch: number
  readonly base: number
  /** Folded over the crc of each record. */
  readonly crc: number
  readonly hasDedupIds: boolean
  /** Its records are held until they are due: they are counted as held records, not in their partition. */
  readonly isDelayed: boolean
}

export interface RunChecks {
  readonly crc32: Checksum
  /** The append time that the run would get: it never goes back, so a run sent again is not refused for its delay. */
  readonly nowMs: TimeMs
}

/** Flags that only the broker may set. */
const brokerFlags = flags.history | flags.source
const delayFlags = flags.deliverAt | flags.delay

/** Checks every record of a run before anything is appended. @returns what it is, or why it is refused */
export function verifyRun(run: IncomingRun, { crc32, nowMs }: RunChecks): RunIdentity | MqError {
  const record = new RecordView()
  const { bytes } = run
  let at = 0
  let index = 0
  let crc = 0
  let allFlags = 0
  while (at < bytes.length && index < run.count) {
    record.move(bytes, at)
    if (!record.fits(bytes.length)) return refused(index, 'does not end where its run ends')
    if (!record.crcHolds(crc32))
      return refused(index, 'does not have the bytes that its crc was made over')
    if (record.bodyLength > run.maxMessageBytes)
      return tooLarge(record.bodyLength, run.maxMessageBytes)
    const why = whyForeign(record, run)
    if (why !== undefined) return refused(index, why)
    if (record.kind === recordKinds.delayed && isTooFar(record, nowMs)) return tooFar(index)
    crc = foldRunCrc(crc, record.crc)
    allFlags |= record.flags
    at = record.end
    index += 1
  }
  if (at !== bytes.length || index !== run.count)
    return refused(index, `is not among the ${run.count} that the run names`)
  const first = record.move(bytes, 0)
  return {
    producerId: first.producerId,
    producerEpoch: first.producerEpoch,
    base: first.runBase,
    crc,
    hasDedupIds: (allFlags & flags.dedupId) !== 0,
    isDelayed: first.kind === recordKinds.delayed,
  }
}

/** Why a record cannot be part of this run; the first record stands for the producer. */
function whyForeign(record: RecordView, run: IncomingRun): string | undefined {
  const { kind, flags: set } = record
  if (kind !== recordKinds.message && kind !== recordKinds.delayed)
    return 'is of a kind that only the broker makes'
  if (kind !== run.bytes[recordFields.kind])
    return 'is of another kind than the first: messages and delayed ones are not mixed'
  if (record.topicId !== run.topicId || record.partition !== run.partition)
    return 'is for another partition'
  if (record.runCount !== run.count) return 'names another number of records in its run'
  if (record.attempt !== 0 || (set & brokerFlags) !== 0)
    return 'has fields that only the broker sets'
  if (!hasItsDelay(kind, set)) return 'must have one delay if it is delayed, and none if it is not'
  if (!sectionsHold(record)) return 'has sections that do not add up to its length'
  return sameProducer(record, run.bytes)
    ? undefined
    : 'is of another producer, epoch or run than the first'
}

function hasItsDelay(kind: number, set: number): boolean {
  const delays = set & delayFlags
  if (kind === recordKinds.message) return delays === 0
  return delays === flags.deliverAt || delays === flags.delay
}

function isTooFar(record: RecordView, nowMs: TimeMs): boolean {
  const { deliverAt = 0, delayMs = 0 } = dueWishOf(record)
  return deliverAt > nowMs + limits.delayMs || delayMs > limits.delayMs
}

function sameProducer(record: RecordView, bytes: Uint8Array): boolean {
  if (record.start === 0) return true
  // producer id, epoch, run count and run base lie side by side: bytes 54 to 68 of a record.
  for (let at = 54; at < 68; at += 1) if (bytes[record.start + at] !== bytes[at]) return false
  return true
}

function refused(index: number, why: string): MqError {
  return new MqError('corrupt_record', `record ${index} of a run ${why}`, { facts: { index } })
}

function tooFar(index: number): MqError {
  return new MqError(
    'invalid_request',
    `record ${index} of a run is delayed by more than ${limits.delayMs} ms`,
    { facts: { index } },
  )
}

function tooLarge(bytes: number, most: number): MqError {
  return new MqError(
    'message_too_large',
    `a message of ${bytes} bytes is larger than the topic allows: ${most}`,
    {
      facts: { bytes, maxMessageBytes: most },
    },
  )
}
