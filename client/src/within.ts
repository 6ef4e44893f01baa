import type { Clock } from '@popmq/kit'
import { MqError } from '@popmq/protocol'

/**
 * As `promise`, but rejects with `timed_out` once the monotonic clock says `endsAt`; what was waited for goes on unheard.
 */
export function within<T>(
  promise: Promise<T>,
  { clock, endsAt, what }: { clock: Clock; endsAt: number; what: string },
): Promise<T> {
  return new Promise((resolve, reject) => {
    const late = (): void => reject(new MqError('timed_out', what))
    const timer = clock.after(Math.max(1, endsAt - clock.monotonic()), late)
    const heard = promise.finally(() => timer.cancel())
    heard.then(resolve, reject)
  })
}
