import { MqError } from './errors.ts'

/**
 * Checks for the fields of a request or reply. A check takes whatever came over the wire and gives back the value,
 * typed, or throws `invalid_request` with the path of the field. Unknown fields are ignored: that is how messages evolve.
 * Without a path the error does not say where.
 */
export type Check<T> = (value: unknown, path: string | undefined) => T

/** As `check`, which is pure. Writing the paths of good fields would cost more than checking them. */
export function located<T>(check: Check<T>): Check<T> {
  return (value, path) => {
    try {
      return check(value, undefined)
    } catch {
      // Found again, this time with the place.
      return check(value, path)
    }
  }
}

function inside(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`
}

/** The type that a check gives. */
export type Checked<C> = C extends Check<infer T> ? T : never

/** Marks a field that may be absent; see `optional`. */
interface OptionalCheck<T> extends Check<T | undefined> {
  readonly isOptional: true
}

type OptionalKeys<S> = { [K in keyof S]: S[K] extends OptionalCheck<unknown> ? K : never }[keyof S]
type ObjectOf<S> = { readonly [K in Exclude<keyof S, OptionalKeys<S>>]: Checked<S[K]> } & {
  readonly [K in OptionalKeys<S>]?: Exclude<Checked<S[K]>, undefined>
}

export function object<S extends Record<string, Check<unknown>>>(shape: S): Check<ObjectOf<S>> {
  const entries = Object.entries(shape)
  return (value, path) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      throw invalid(path, 'must be a map', value)
    const source = value as Record<string, unknown>
    const result: Record<string, unknown> = {}
    for (const [name, check] of entries) {
      const given = Object.hasOwn(source, name) ? source[name] : undefined
      const checked = check(given, path === undefined ? undefined : inside(path, name))
      if (checked !== undefined) result[name] = checked
    }
    return result as ObjectOf<S>
  }
}

/** A field that may be absent. */
export function optional<T>(check: Check<T>): OptionalCheck<T> {
  const relaxed = (value: unknown, path: string | undefined): T | undefined =>
    value === undefined || value === null ? undefined : check(value, path)
  return Object.assign(relaxed, { isOptional: true as const })
}

/** A whole number in [low, high]. */
export function whole<N extends number = number>(
  low = 0,
  high: number = Number.MAX_SAFE_INTEGER,
): Check<N> {
  return (value, path) => {
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < low || value > high) {
      throw invalid(path, `must be a whole number from ${low} to ${high}`, value)
    }
    // Minus zero comes over the wire as a float; it is zero.
    return (value === 0 ? 0 : value) as N
  }
}

/** Text of at most `mostBytes` bytes of UTF-8. Lone surrogates are refused. */
export function text(mostBytes: number, leastBytes = 0): Check<string> {
  return (value, path) => {
    if (typeof value !== 'string') throw invalid(path, 'must be text', value)
    if (!fits(value, mostBytes, leastBytes))
      throw invalid(path, `must be ${leastBytes} to ${mostBytes} bytes of text`, value)
    if (loneSurrogate.test(value)) throw invalid(path, 'must be well-formed text', value)
    return value
  }
}

export const flag: Check<boolean> = (value, path) => {
  if (typeof value !== 'boolean') throw invalid(path, 'must be true or false', value)
  return value
}

/** Bytes, copied out of the frame so that a small field does not pin it. */
export function bytes(mostBytes: number): Check<Uint8Array> {
  return (value, path) => {
    if (!(value instanceof Uint8Array)) throw invalid(path, 'must be bytes', value)
    if (value.length > mostBytes)
      throw invalid(path, `must be at most ${mostBytes} bytes`, value.length)
    return new Uint8Array(value)
  }
}

export function oneOf<const Words extends readonly string[]>(
  ...words: Words
): Check<Words[number]> {
  return (value, path) => {
    if (typeof value !== 'string' || !words.includes(value))
      throw invalid(path, `must be one of ${words.join(', ')}`, value)
    return value
  }
}

export function list<T>(item: Check<T>, mostItems: number): Check<readonly T[]> {
  return (value, path) => {
    if (!Array.isArray(value)) throw invalid(path, 'must be a list', value)
    if (value.length > mostItems)
      throw invalid(path, `must have at most ${mostItems} items`, value.length)
    if (path === undefined) return value.map((member) => item(member, undefined))
    return value.map((member, index) => item(member, `${path}[${index}]`))
  }
}

/** A map from text to values of one kind. */
export function dictionary<T>(
  item: Check<T>,
  mostKeys: number,
): Check<Readonly<Record<string, T>>> {
  return (value, path) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      throw invalid(path, 'must be a map', value)
    const entries = Object.entries(value)
    if (entries.length > mostKeys)
      throw invalid(path, `must have at most ${mostKeys} keys`, entries.length)
    const place = (key: string): string | undefined =>
      path === undefined ? undefined : `${path}.${key}`
    return Object.fromEntries(entries.map(([key, member]) => [key, item(member, place(key))]))
  }
}

/** A UTF-16 unit takes one to three bytes of UTF-8: mostly that says it. */
function fits(value: string, mostBytes: number, leastBytes: number): boolean {
  if (value.length >= leastBytes && value.length * 3 <= mostBytes) return true
  const bytes = utf8.encode(value).length
  return bytes <= mostBytes && bytes >= leastBytes
}

const utf8 = new TextEncoder()
const loneSurrogate = /\p{Surrogate}/u

function invalid(path: string | undefined, rule: string, got: unknown): MqError {
  const shown =
    typeof got === 'string'
      ? JSON.stringify(got.slice(0, 60))
      : typeof got === 'number'
        ? String(got)
        : typeof got
  return new MqError(
    'invalid_request',
    `${path === undefined || path === '' ? 'the body' : `field ${path}`} ${rule}, got ${shown}`,
  )
}
