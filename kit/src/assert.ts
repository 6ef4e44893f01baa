/** A broken assertion is our own bug. It stays on in production: stopping beats acknowledging what is not true. */
export class AssertionError extends Error {
  override readonly name = 'AssertionError'
}

/** Throws unless `condition` holds. `invariant` says, as a sentence, what is always true here. */
export function assert(condition: boolean, invariant: string): asserts condition {
  if (!condition) throw new AssertionError(`broken invariant: ${invariant}`)
}

/** Returns `value`, asserting that it is there. */
export function present<T>(value: T | undefined | null, invariant: string): T {
  if (value === undefined || value === null)
    throw new AssertionError(`broken invariant: ${invariant}`)
  return value
}

/** The last arm of an exhaustive switch: the compiler proves that it is never reached. */
export function unreachable(value: never): never {
  throw new AssertionError(`broken invariant: every case is handled, got ${JSON.stringify(value)}`)
}
