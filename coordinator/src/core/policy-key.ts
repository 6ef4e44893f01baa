import { nearest } from '@popmq/kit'
import { MqError, quoted } from '@popmq/protocol'

/** What keys of topics and of groups have in common: how a wrong key or value is refused. */

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
