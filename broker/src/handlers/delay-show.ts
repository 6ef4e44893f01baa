import { type delayShow, MqError, type ReplyOf, type RequestOf } from '@popmq/protocol'
import type { Answer } from '@popmq/transport'
import type { Delays } from '../core/holds/delays.ts'
import type { FiringParts } from '../core/holds/firing.ts'

export interface DelayShowParts {
  readonly delays: Pick<Delays, 'get'>
  readonly readRecord: FiringParts['readRecord']
}

/** One delayed message with its record. */
export async function handleDelayShow(
  { number }: RequestOf<typeof delayShow>,
  { delays, readRecord }: DelayShowParts,
): Promise<Answer<ReplyOf<typeof delayShow>>> {
  const delay = delays.get(number)
  if (delay === undefined)
    throw new MqError('message_not_found', `no delayed message ${number} waits on this broker`)
  const { position, ...message } = delay
  const record = await readRecord(position, message.bytes)
  return { reply: { message }, slices: [record.bytes.subarray(record.start, record.end)] }
}
