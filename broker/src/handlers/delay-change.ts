import type { Clock } from '@popmq/kit'
import { type delayChange, limits, MqError, type ReplyOf, type RequestOf } from '@popmq/protocol'
import type { Answer } from '@popmq/transport'
import type { Firing } from '../core/holds/firing.ts'

export interface DelayChangeParts {
  readonly firing: Pick<Firing, 'cancel' | 'move'>
  readonly clock: Pick<Clock, 'now'>
}

/** Cancels a delayed message or moves it to another time; answered when that is durable and applied. */
export async function handleDelayChange(
  { number, deliverAt }: RequestOf<typeof delayChange>,
  { firing, clock }: DelayChangeParts,
): Promise<Answer<ReplyOf<typeof delayChange>>> {
  if (deliverAt === undefined) return { reply: { result: await firing.cancel(number) } }
  if (deliverAt > clock.now() + limits.delayMs)
    throw new MqError('invalid_request', `deliverAt is further away than ${limits.delayMs} ms`)
  const result = await firing.move(number, deliverAt)
  return { reply: { result, ...(result === 'done' ? { dueAt: deliverAt } : {}) } }
}
