import { type deadShow, MqError, type ReplyOf, type RequestOf } from '@popmq/protocol'
import type { Answer } from '@popmq/transport'
import { letterReport } from '../core/dead-letters/index.ts'
import type { DeadListParts } from './dead-list.ts'

/** One letter with all that is known of its attempts, and its record. */
export async function handleDeadShow(
  { groupId, letter }: RequestOf<typeof deadShow>,
  { letters, readLetter }: DeadListParts,
): Promise<Answer<ReplyOf<typeof deadShow>>> {
  const isThere = letters.find(groupId)?.state(letter) !== undefined
  const record = isThere ? await readLetter(groupId, letter) : undefined
  // Retention may have come while it was read.
  const group = letters.find(groupId)
  if (record === undefined || group?.state(letter) === undefined)
    throw new MqError('message_not_found', `the group has no dead letter ${letter} here`)
  return {
    reply: { letter: letterReport(record, group.letter(letter)) },
    slices: [record.bytes.subarray(record.start, record.end)],
  }
}
