import { setTimeout as pause } from 'node:timers/promises'

export interface Waiting {
  /** What is waited for, for the error: 'broker 1 to serve'. */
  readonly what: string
  /** @defaultValue 30_000 */
  readonly withinMs?: number
  /** @defaultValue 20 */
  readonly everyMs?: number
}

/**
 * Asks `condition` again and again until it holds: for ports, files and offsets, which tell nobody when they change.
 * @throws Error naming what was waited for
 */
export async function until(
  condition: () => boolean | Promise<boolean>,
  { what, withinMs = 30_000, everyMs = 20 }: Waiting,
): Promise<void> {
  const deadlineMs = performance.now() + withinMs
  while (!(await condition())) {
    if (performance.now() > deadlineMs) throw new Error(`waited ${withinMs} ms in vain for ${what}`)
    await pause(everyMs)
  }
}

/** @throws Error when `promise` is not settled in time */
export async function within<T>(
  promise: Promise<T>,
  { what, withinMs = 30_000 }: Waiting,
): Promise<T> {
  const timer = new AbortController()
  const late = pause(withinMs, undefined, { signal: timer.signal }).then(() => {
    throw new Error(`waited ${withinMs} ms in vain for ${what}`)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    timer.abort()
    late.catch(isAbort)
  }
}

/** The timer that lost the race ends with an abort: nothing to tell. */
function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === 'AbortError'
}
