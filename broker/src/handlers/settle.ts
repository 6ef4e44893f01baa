import type { ReplyOf, RequestOf, settle } from '@popmq/protocol'
import type { Answer } from '@popmq/transport'
import type { Dispatch } from '../core/delivery/dispatch.ts'

export interface SettleParts {
  readonly dispatch: Pick<Dispatch, 'group' | 'settling'>
}

/** Settles popped messages, or changes how long they are hidden: one result for each handle. */
export async function handleSettle(
  request: RequestOf<typeof settle>,
  { dispatch }: SettleParts,
): Promise<Answer<ReplyOf<typeof settle>>> {
  const { groupId, verb, leases } = request
  const group = dispatch.group(groupId)
  const { settling } = dispatch
  try {
    switch (verb) {
      case 'ack':
        return { reply: { results: await settling.ack(group, leases) } }
      case 'nack': {
        const { error, delayMs, retriable = true } = request
        return {
          reply: { results: await settling.nack(group, leases, { error, delayMs, retriable }) },
        }
      }
      case 'extend': {
        const { invisibleMs = group.group.policy.invisibleMs } = request
        return { reply: await settling.extend(group, leases, invisibleMs) }
      }
      case 'release':
        return { reply: { results: await settling.release(group, leases) } }
    }
  } finally {
    // Where a limit held pops up there is room now.
    group.passOn()
  }
}
