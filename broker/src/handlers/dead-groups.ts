import {
  type deadGroups,
  type DeadSummary,
  formatFingerprint,
  type ReplyOf,
  type RequestOf,
} from '@popmq/protocol'
import type { Answer } from '@popmq/transport'
import type { DeadLetters } from '../core/dead-letters/index.ts'

export interface DeadGroupsParts {
  readonly letters: Pick<DeadLetters, 'find'>
}

/**
 * The letters of a group by fingerprint. Not complete when there are too many: then those of all others are summed up as
 * fingerprint 000000000000, which no letter has.
 */
export async function handleDeadGroups(
  { groupId }: RequestOf<typeof deadGroups>,
  { letters }: DeadGroupsParts,
): Promise<Answer<ReplyOf<typeof deadGroups>>> {
  const summaries = letters.find(groupId)?.summaries
  const groups = (summaries?.all() ?? []).map((summary): DeadSummary => {
    const { fingerprint, errorType, error, count, open, firstAt, lastAt } = summary
    return {
      fingerprint: formatFingerprint(fingerprint),
      ...(errorType === undefined ? {} : { errorType }),
      ...(error === undefined ? {} : { error }),
      count,
      open,
      firstAt,
      lastAt,
    }
  })
  return { reply: { groups, complete: summaries?.hasOther !== true } }
}
