import type { Clock } from '@popmq/kit'
import {
  formatFingerprint,
  type LogPosition,
  partitionOfKey,
  type ReplyOf,
  type RequestOf,
  type retryChange,
  type retryList,
  topicOfKey,
  type WaitingRetry,
} from '@popmq/protocol'
import type { Answer } from '@popmq/transport'
import type { DeliveryLog } from '../core/delivery/delivery-log.ts'
import type { Delivery } from '../core/delivery/delivery.ts'
import type { Dispatch } from '../core/delivery/dispatch.ts'
import type { GroupDispatch } from '../core/delivery/group-dispatch.ts'
import type { Retry } from '../core/delivery/retries.ts'
import { encodeHoldChanges } from '../core/holds/hold-change.ts'

export interface RetriesParts {
  readonly dispatch: Pick<Dispatch, 'group' | 'moving' | 'retryAppended' | 'dueNow'>
  readonly delivery: Pick<Delivery, 'retries'>
  readonly log: Pick<DeliveryLog, 'appendControl' | 'whenDone' | 'until'>
  readonly clock: Clock
}

/** What waits to be delivered again, by number. */
export async function handleRetryList(
  { groupId, after = 0, limit }: RequestOf<typeof retryList>,
  { dispatch }: RetriesParts,
): Promise<Answer<ReplyOf<typeof retryList>>> {
  const group = dispatch.group(groupId)
  const retries: WaitingRetry[] = []
  for (const retry of group.retries.all()) {
    if (retry.number <= after) continue
    if (retries.length === limit) return { reply: { retries, complete: false } }
    retries.push(described(group, retry))
  }
  return { reply: { retries, complete: true } }
}

/** Makes retries due at once, or gives them up. */
export async function handleRetryChange(
  { groupId, numbers, to }: RequestOf<typeof retryChange>,
  parts: RetriesParts,
): Promise<Answer<ReplyOf<typeof retryChange>>> {
  const group = parts.dispatch.group(groupId)
  const results: ReplyOf<typeof retryChange>['results'][number][] = []
  let end: LogPosition | undefined
  for (const number of numbers) {
    const retry = parts.delivery.retries.get(number)
    if (retry === undefined || retry.groupId !== groupId) results.push('unknown')
    else if (isBusy(group, number) || group.isResetting(retry.key)) results.push('busy')
    else {
      end = (to === 'now' ? now(retry, parts) : await giveUp(group, retry, parts)) ?? end
      results.push('done')
    }
  }
  if (end !== undefined) await parts.log.whenDone(end)
  return { reply: { results } }
}

function isBusy({ retries: { book } }: GroupDispatch, number: number): boolean {
  return book.isHeld(number) || book.isSettling(number)
}

function now({ groupId, number, dueAt }: Retry, { log, dispatch }: RetriesParts): LogPosition {
  const body = encodeHoldChanges([{ number, dueAt: Math.min(dueAt, dispatch.dueNow()) }])
  const end = log.appendControl({ kind: 'hold_changed', body })
  log.until(end, () => dispatch.retryAppended(groupId, number))
  return end
}

async function giveUp(
  group: GroupDispatch,
  retry: Retry,
  { dispatch, clock }: RetriesParts,
): Promise<LogPosition | undefined> {
  const place = group.retries.placeOf(retry)
  const move = { group, place, number: retry.number, outcome: undefined, nowMs: clock.now() }
  return (await dispatch.moving.move(move))?.end
}

function described(group: GroupDispatch, retry: Retry): WaitingRetry {
  const { number, key, offset, attempts, dueAt, fingerprint } = retry
  const place = { topicId: topicOfKey(key), partition: partitionOfKey(key), offset }
  const { book } = group.retries
  const lease = book.leaseOf(number)
  const state = book.isHeld(number) ? 'leased' : book.free.has(number) ? 'due' : 'waiting'
  return {
    number,
    ...place,
    attempts: lease?.attempt ?? attempts,
    dueAt,
    state,
    ...(fingerprint === 0 ? {} : { fingerprint: formatFingerprint(fingerprint) }),
  }
}
