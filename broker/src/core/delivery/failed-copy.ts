import {
  type Attempt,
  type AttemptOutcome,
  type Checksum,
  type CopyCause,
  copyRecord,
  decodeHistory,
  encodeHistory,
  encodeSource,
  type Failure,
  flags,
  formatFingerprint,
  type GroupId,
  isMqError,
  type Offset,
  type PartitionNumber,
  partitionNumber,
  recordKinds,
  type RecordView,
  sectionOf,
  sourceOf,
  type TimeMs,
  type TopicId,
} from '@popmq/protocol'
import { present } from '@popmq/kit'
import { fingerprint } from './fingerprint.ts'

/** Where a message was first, and what became of it so far, for one group. */
export interface MessageOrigin {
  readonly topicId: TopicId
  readonly partition: PartitionNumber
  readonly offset: Offset
  readonly firstAppendedAt: TimeMs
  /** Deliveries before this record was written. */
  readonly attempts: number
  /** Those among them that ended without an answer. */
  readonly expiries: number
}

/** A delivery that failed. */
export interface FailedAttempt {
  /** 1 for the first delivery. */
  readonly n: number
  readonly at: TimeMs
  readonly consumer?: string
  readonly heldMs: number
  readonly outcome: AttemptOutcome
  readonly error?: Failure
}

/** What is to become of a failed message. */
export type Verdict =
  | { readonly to: 'retry'; readonly dueAt: TimeMs }
  | {
      readonly to: 'dead'
      readonly deadTopicId: TopicId
      readonly setId: number
      /** An operator gave it up, not its last delivery. */
      readonly isByOperator?: boolean
    }

export interface FailedMessage {
  /** A message, or the retry that failed again; read at once, not kept. */
  readonly original: RecordView
  /** What the copy takes the place of: the offset, or the held number of the retry. */
  readonly settles: number
  readonly groupId: GroupId
  readonly generation: number
  readonly now: TimeMs
  /**
   * The deliveries that failed since the original was written, oldest first: one, or several when leases expired in
   * place. None when an operator gives up a retry.
   */
  readonly attempts: readonly FailedAttempt[]
  readonly verdict: Verdict
}

/** Of a retry as its source tells; any other record is itself where the message was first. */
export function originOf(record: RecordView): MessageOrigin {
  if (record.kind === recordKinds.retry) {
    const source = present(sourceOf(record), 'a retry names its source')
    const { topicId, partition, offset, firstAppendedAt, attempts, expiries } = source
    return { topicId, partition, offset, firstAppendedAt, attempts, expiries }
  }
  const { topicId, partition, offset, appendedAt: firstAppendedAt } = record
  return { topicId, partition, offset, firstAppendedAt, attempts: 0, expiries: 0 }
}

/**
 * The record that takes the place of a failed message: a retry, or a dead letter. It tells every failed delivery that the
 * original told, and the new ones. A history that cannot be read is left out and a new one begun: what is known of a
 * message's past must not stop the message.
 *
 * Attempts are counted even where their history was lost: the number of the last delivery counts. The fingerprint is
 * that of the last delivery, 0 when it told no error; without a new delivery that of the original.
 */
export function failedCopy(failed: FailedMessage, crc32: Checksum): Uint8Array {
  const { original, verdict, now } = failed
  const origin = originOf(original)
  const history = [...historyOf(original), ...failed.attempts.map(toldAttempt)]
  const last = failed.attempts.at(-1)
  const attempts = Math.max(origin.attempts + failed.attempts.length, last?.n ?? 0)
  const expired = failed.attempts.filter(({ outcome }) => outcome === 'expired').length
  const source = encodeSource({
    cause: causeOf(failed),
    attempts,
    groupId: failed.groupId,
    topicId: origin.topicId,
    partition: origin.partition,
    expiries: origin.expiries + expired,
    settles: failed.settles,
    offset: origin.offset,
    firstAppendedAt: origin.firstAppendedAt,
    fingerprint: last === undefined ? fingerprintOf(original) : printOf(last),
    generation: failed.generation,
    at: now,
  })
  const told = history.length === 0 ? {} : { history: encodeHistory(history) }
  const place =
    verdict.to === 'retry'
      ? { topicId: origin.topicId, partition: origin.partition, deliverAt: verdict.dueAt }
      : { topicId: verdict.deadTopicId, partition: partitionNumber(verdict.setId) }
  return copyRecord(
    original,
    { kind: verdict.to, ...place, attempt: attempts, ...told, source },
    crc32,
  )
}

function causeOf({ verdict, attempts }: FailedMessage): CopyCause {
  const isByOperator = verdict.to === 'dead' && verdict.isByOperator === true
  return isByOperator ? 'operator' : (attempts.at(-1)?.outcome ?? 'operator')
}

function toldAttempt(failed: FailedAttempt): Attempt {
  const print = printOf(failed)
  return print === 0 ? failed : { ...failed, fingerprint: formatFingerprint(print) }
}

/** 0 when no error was told. */
function printOf({ error, outcome }: FailedAttempt): number {
  const print = fingerprint(error, outcome)
  return print === fingerprint(undefined, outcome) ? 0 : print
}

function fingerprintOf(original: RecordView): number {
  return original.kind === recordKinds.retry ? (sourceOf(original)?.fingerprint ?? 0) : 0
}

/**
 * What a retry or a dead letter tells of its attempts, oldest first. Nothing where that cannot be read: the message is
 * there all the same.
 */
export function historyOf(record: RecordView): readonly Attempt[] {
  // A producer may have written anything; its messages tell of no attempts.
  if (record.kind !== recordKinds.retry && record.kind !== recordKinds.dead) return []
  const bytes = sectionOf(record, flags.history)
  if (bytes === undefined) return []
  try {
    return decodeHistory(bytes)
  } catch (error) {
    if (isMqError(error, 'corrupt_record')) return []
    throw error
  }
}
