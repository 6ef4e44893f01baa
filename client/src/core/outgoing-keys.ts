import { nearest } from '@popmq/kit'
import { MqError } from '@popmq/protocol'
import type { OutgoingMessage } from '../api/outgoing-message.ts'

const keys: ReadonlySet<string> = new Set<keyof OutgoingMessage>([
  'topic',
  'value',
  'key',
  'tag',
  'headers',
  'dedupId',
  'partition',
  'delayMs',
  'deliverAt',
])

/** Refuses what is not a message, or has a key that no message has. @throws MqError `invalid_request` */
export function checkOutgoing(message: OutgoingMessage): void {
  if (typeof message !== 'object' || message === null) {
    throw new MqError('invalid_request', 'a message is an object with a topic and a value')
  }
  for (const key in message) {
    if (!keys.has(key)) throw unknownKey(key)
  }
  if (typeof message.topic !== 'string') {
    throw new MqError('invalid_request', 'topic must be text')
  }
}

function unknownKey(key: string): MqError {
  const near = nearest(key, keys)
  const hint = near === undefined ? '' : `; did you mean ${near}?`
  return new MqError(
    'invalid_request',
    `a message has no ${JSON.stringify(key.slice(0, 60))}${hint}`,
  )
}
