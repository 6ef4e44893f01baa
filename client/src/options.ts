import { nearest } from '@popmq/kit'
import { MqError } from '@popmq/protocol'

/** The range of a numeric option: whole numbers from `low` to `high`. */
export type Range = readonly [low: number, high: number]

/**
 * `defaults` with the given options over them; an option given as undefined counts as absent.
 * @throws MqError `invalid_request` naming an option that does not exist or is out of its range
 */
export function withDefaults<T extends object>(
  what: string,
  given: Partial<T>,
  { defaults, ranges }: { defaults: T; ranges: Readonly<Record<string, Range>> },
): T {
  const result: Record<string, unknown> = Object.fromEntries(Object.entries(defaults))
  for (const [name, value] of Object.entries(given)) {
    if (!Object.hasOwn(result, name)) throw unknownOption(what, name, Object.keys(result))
    if (value === undefined) continue
    const range = ranges[name]
    if (range !== undefined) checkRange(`${what} option ${name}`, value, range)
    result[name] = value
  }
  return Object.freeze(result) as T
}

/** @throws MqError `invalid_request` */
export function checkRange(what: string, value: unknown, [low, high]: Range): void {
  if (typeof value === 'number' && Number.isInteger(value) && value >= low && value <= high) return
  const shown = typeof value === 'number' ? value : typeof value
  throw new MqError(
    'invalid_request',
    `${what} must be a whole number from ${low} to ${high}, got ${shown}`,
  )
}

/** @throws MqError `invalid_request` */
export function checkWord(what: string, value: unknown, words: readonly string[]): void {
  if (typeof value === 'string' && words.includes(value)) return
  throw new MqError(
    'invalid_request',
    `${what} must be one of ${words.join(', ')}, got ${String(value)}`,
  )
}

function unknownOption(what: string, name: string, known: readonly string[]): MqError {
  const near = nearest(name, known)
  const hint = near === undefined ? '' : `; did you mean ${near}?`
  return new MqError(
    'invalid_request',
    `${what} has no option ${JSON.stringify(name.slice(0, 60))}${hint}`,
  )
}
