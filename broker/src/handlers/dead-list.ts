import {
  type DeadLetter,
  type deadList,
  type GroupId,
  MqError,
  type Offset,
  parseFingerprint,
  type RecordView,
  type ReplyOf,
  type RequestOf,
} from '@popmq/protocol'
import type { Answer } from '@popmq/transport'
import { type DeadLetters, letterReport } from '../core/dead-letters/index.ts'

export interface DeadListParts {
  readonly letters: Pick<DeadLetters, 'find'>
  /** Undefined for a letter that is not there any more. The record does not change afterwards. */
  readonly readLetter: (groupId: GroupId, letter: Offset) => Promise<RecordView | undefined>
}

/** How many letters one request looks at for those that it asks for: some ms. */
const mostLooked = 50_000

/**
 * A page of a group's letters, oldest first. `next` is the last one looked at: given as `after`, it asks for those behind
 * it. Their records are read one by one, for each may be as large as a message can be.
 */
export async function handleDeadList(
  request: RequestOf<typeof deadList>,
  parts: DeadListParts,
): Promise<Answer<ReplyOf<typeof deadList>>> {
  const { groupId, after, limit } = request
  const group = parts.letters.find(groupId)
  if (group === undefined) return { reply: { letters: [], complete: true } }
  const fingerprint = fingerprintOf(request.fingerprint)
  const found = group.find({ after: after as Offset | undefined, fingerprint, limit, mostLooked })
  const letters: DeadLetter[] = []
  for (const letter of found.letters) {
    const record = await parts.readLetter(groupId, letter)
    // Retention may have come while it was read.
    if (record === undefined || group.state(letter) === undefined) continue
    const { history: _history, ...told } = letterReport(record, group.letter(letter))
    letters.push(told)
  }
  const { last, isComplete } = found
  return { reply: { letters, complete: isComplete, ...(last === undefined ? {} : { next: last }) } }
}

function fingerprintOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const fingerprint = parseFingerprint(text)
  if (fingerprint === undefined)
    throw new MqError('invalid_request', 'fingerprint must be 12 hexadecimal digits')
  return fingerprint
}
