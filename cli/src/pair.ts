import { nearest } from '@popmq/kit'
import { MqError } from '@popmq/protocol'

/**
 * Reads `k=v` words.
 * @throws MqError `invalid_request` for a word without `=`, or a key that occurs twice
 */
export function parsePairs(words: readonly string[]): Record<string, string> {
  const pairs = new Map<string, string>()
  for (const word of words) {
    const at = word.indexOf('=')
    if (at < 1)
      throw new MqError('invalid_request', `${JSON.stringify(word)} is not of the form key=value`)
    const key = word.slice(0, at)
    if (pairs.has(key)) throw new MqError('invalid_request', `${key} is given twice`)
    pairs.set(key, word.slice(at + 1))
  }
  return Object.fromEntries(pairs)
}

/** Refuses keys that are not `known`, naming the nearest. @throws MqError `invalid_request` */
export function checkKeys(keys: Iterable<string>, known: readonly string[]): void {
  for (const key of keys) {
    if (known.includes(key)) continue
    const near = nearest(key, known)
    const hint = near === undefined ? `the keys are ${known.join(', ')}` : `did you mean ${near}?`
    throw new MqError('invalid_request', `unknown key ${JSON.stringify(key)}: ${hint}`)
  }
}
