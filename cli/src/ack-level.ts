import { nearest } from '@popmq/kit'
import { type AckLevel, ackLevels, MqError } from '@popmq/protocol'

/** The numbers are those of the first requirement: 1 in memory, 0 synced, −1 by a majority. */
const ackAliases: Readonly<Record<string, AckLevel>> = {
  '1': 'received',
  '0': 'disk',
  '-1': 'quorum',
}

/** Reads an ack level by name or alias. @throws MqError `invalid_request` naming the nearest */
export function parseAcks(text: string): AckLevel {
  const level = ackLevels.find((name) => name === text) ?? ackAliases[text]
  if (level !== undefined) return level
  const near = nearest(text, ackLevels)
  const hint = near === undefined ? `write ${ackLevels.join(', ')}` : `did you mean ${near}?`
  throw new MqError('invalid_request', `${JSON.stringify(text)} is not an ack level: ${hint}`)
}
