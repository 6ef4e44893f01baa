import { type Clock, sleep } from '@popmq/kit'
import { MqError } from '@popmq/protocol'

/**
 * As `promise`, but rejects with `timed_out` once the monotonic clock says `endsAt`; what was waited for goes on unheard.
 */
export async function within<T>(
  promise: Promise<T>,
  { clock, endsAt, what }: { clock: Clock; endsAt: number; what: string },
): Promise<T> {
  const heard = new AbortController()
  const late = sleep(clock, Math.max(1, endsAt - clock.monotonic()), heard.signal).then((): T => {
    throw new MqError('timed_out', what)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    // Wakes the sleeper, whose error nobody hears any more: the race is over.
    heard.abort()
  }
}
