import { isHeldNumber, limits, MqError, type PreparedMessage } from '@popmq/protocol'
import type { OutgoingMessage } from '../api/outgoing-message.ts'
import { heldIdOf } from './held-id.ts'

/** When a record is due: at most one of both. */
export interface RecordDelay {
  readonly delayMs?: number
  readonly deliverAt?: number
}

/** A message that asks for no delay. */
type PromptMessage = OutgoingMessage & { readonly delayMs?: never; readonly deliverAt?: never }

export function isPrompt(message: OutgoingMessage): message is PromptMessage {
  return message.delayMs === undefined && message.deliverAt === undefined
}

/**
 * When a message is to become visible. @returns undefined for at once: nothing was asked for, or it is past at `now`
 * @throws MqError `invalid_request` naming the field
 */
export function delayOf(
  { delayMs, deliverAt }: Pick<OutgoingMessage, 'delayMs' | 'deliverAt'>,
  now: number,
): RecordDelay | undefined {
  if (delayMs !== undefined && deliverAt !== undefined)
    throw new MqError('invalid_request', 'a message has either delayMs or deliverAt, not both')
  if (delayMs !== undefined) {
    if (!(Number.isSafeInteger(delayMs) && delayMs >= 0 && delayMs <= limits.delayMs)) {
      const what = `delayMs must be a whole number from 0 to ${limits.delayMs}, got ${String(delayMs)}`
      throw new MqError('invalid_request', what)
    }
    return delayMs === 0 ? undefined : { delayMs }
  }
  if (deliverAt === undefined) return undefined
  const at = timeOf('deliverAt', deliverAt, now)
  return at <= now ? undefined : { deliverAt: at }
}

/** A time that a user gave, in ms since 1970. @throws MqError `invalid_request` for none, and for one too far ahead */
export function timeOf(name: string, value: Date | number, now: number): number {
  const at: unknown = value instanceof Date ? value.getTime() : value
  if (typeof at !== 'number' || !Number.isSafeInteger(at)) {
    const what = `${name} must be a valid Date, or a whole number of ms since 1970`
    throw new MqError('invalid_request', what)
  }
  if (at > now + limits.delayMs) {
    const what = `${name} must be at most 366 days ahead, got ${at - now} ms`
    throw new MqError('invalid_request', what)
  }
  return at
}

/** The kind of record that a message is sent as. */
export function kindOf({ delayMs, deliverAt }: PreparedMessage): 'message' | 'delayed' {
  return delayMs === undefined && deliverAt === undefined ? 'message' : 'delayed'
}

/** @returns the id of a delayed message, undefined for an offset in a partition */
export function delayIdOf(set: number, offset: number): string | undefined {
  return isHeldNumber(offset) ? heldIdOf(set, offset) : undefined
}
