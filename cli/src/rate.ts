import { MqError } from '@popmq/protocol'

const secondsPer = { s: 1, m: 60, h: 3_600 } as const

/**
 * Reads a rate: `500/s`, `2k/s`, `30/m`; without a unit it is per second.
 * @returns messages per second, above 0
 * @throws MqError `invalid_request`
 */
export function parseRate(text: string): number {
  const match = /^(\d{1,9}(?:\.\d{1,6})?)(k?)(?:\/(s|m|h))?$/.exec(text)
  const thousands = match?.[2] === 'k' ? 1_000 : 1
  const unit = match?.[3]
  const seconds = unit === 'm' || unit === 'h' ? secondsPer[unit] : 1
  const perSecond = (Number(match?.[1]) * thousands) / seconds
  if (!(perSecond > 0)) {
    throw new MqError(
      'invalid_request',
      `${JSON.stringify(text)} is not a rate: write 500/s, 2k/s or 30/m`,
    )
  }
  return perSecond
}
