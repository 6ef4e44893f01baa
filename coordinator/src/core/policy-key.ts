import { nearest } from '@popmq/kit'
import { MqError, quoted } from '@popmq/protocol'

/** What keys of topics and of groups have in common: how a time is written, and how a wrong key or value is refused. */

const msPerUnit: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
}

/** `200ms`, `5s`, `2m`, `72h`, `14d` in ms. @returns NaN for what is not a time */
export function msOf(value: string): number {
  const match = /^(\d{1,15})(ms|s|m|h|d)$/.exec(value)
  return Number(match?.[1]) * (msPerUnit[match?.[2] ?? ''] ?? Number.NaN)
}

export function unknownKey(
  of: 'topic' | 'group',
  { key, known }: { readonly key: string; readonly known: readonly string[] },
): MqError {
  const near = nearest(key, known)
  const hint = near === undefined ? `the keys are ${known.join(', ')}` : `did you mean ${near}?`
  return new MqError('invalid_config', `a ${of} has no key ${quoted(key)}: ${hint}`, {
    facts: near === undefined ? {} : { nearest: near },
  })
}

export function invalidValue(key: string, value: string, why: string): MqError {
  return new MqError('invalid_config', `${key}=${quoted(value)} ${why}`, { facts: { key } })
}
