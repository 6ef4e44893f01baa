import { present } from '@popmq/kit'
import {
  type DeadLetter,
  flags,
  formatFingerprint,
  formatMessageId,
  type LetterState,
  type RecordView,
  sectionOf,
  sourceOf,
} from '@popmq/protocol'
import { historyOf } from '../delivery/failed-copy.ts'

/** What the view knows of a letter. */
export interface KnownLetter {
  readonly state: LetterState
  readonly fingerprint: number
}

/** A letter as it is told, with its attempts; `record` is the letter's. */
export function letterReport(record: RecordView, known: KnownLetter): DeadLetter {
  const source = present(sourceOf(record), 'a dead letter names its source')
  const history = historyOf(record)
  const error = history.at(-1)?.error
  const key = textOf(record, flags.key)
  const tag = textOf(record, flags.tag)
  return {
    letter: record.offset,
    topicId: source.topicId,
    partition: source.partition,
    offset: source.offset,
    messageId: formatMessageId(record.messageId),
    diedAt: source.at,
    cause: source.cause,
    attempts: source.attempts,
    state: known.state,
    fingerprint: formatFingerprint(known.fingerprint),
    ...(error?.type === undefined ? {} : { errorType: error.type }),
    ...(error?.message === undefined ? {} : { error: error.message }),
    ...(key === undefined ? {} : { key }),
    ...(tag === undefined ? {} : { tag }),
    history,
  }
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Undefined also for bytes that are no text: nobody has looked at them so far. */
function textOf(record: RecordView, flag: number): string | undefined {
  const bytes = sectionOf(record, flag)
  if (bytes === undefined) return undefined
  try {
    return decoder.decode(bytes)
  } catch (error) {
    if (error instanceof TypeError) return undefined
    throw error
  }
}
