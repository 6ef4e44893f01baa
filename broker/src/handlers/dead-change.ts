import type { deadChange, ReplyOf, RequestOf } from '@popmq/protocol'
import type { Answer } from '@popmq/transport'
import type { LetterChanges } from '../core/dead-letters/index.ts'

export interface DeadChangeParts {
  readonly changes: Pick<LetterChanges, 'change'>
}

/** Discards letters, or opens discarded ones again; answered when that is durable and applied. */
export async function handleDeadChange(
  request: RequestOf<typeof deadChange>,
  { changes }: DeadChangeParts,
): Promise<Answer<ReplyOf<typeof deadChange>>> {
  return { reply: { results: await changes.change(request) } }
}
