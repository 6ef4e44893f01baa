import { closeAll, type Log, sleep } from '@popmq/kit'
import { MqError } from '@popmq/protocol'
import type { Invocation } from '../invocation.ts'
import type { Role } from './role.ts'

/** How long roles may take to finish what they hold. */
const drainMs = 20_000

/**
 * Lets `roles` serve until the process is asked to stop or one of them fails, then closes them in reverse order.
 * @throws MqError the failure, or `timed_out` when closing took longer than 20 s
 */
export async function drain(
  roles: readonly Role[],
  { invocation: { clock, signal }, log }: { invocation: Pick<Invocation, 'clock' | 'signal'>; log: Log },
): Promise<void> {
  const failures = roles.flatMap((role) => (role.failed === undefined ? [] : [role.failed]))
  const failure = await Promise.race([stopped(signal), ...failures])
  log.info('draining', { roles: roles.length, failed: failure?.name })
  const closing = new AbortController()
  const late = sleep(clock, drainMs, closing.signal).then(() => closing.signal.aborted)
  const closed = closeAll(roles).then(() => true)
  const inTime = await Promise.race([closed, late])
  closing.abort()
  if (failure !== undefined) throw failure
  if (!inTime) throw new MqError('timed_out', `closing took longer than ${drainMs} ms: what was left is as after a crash`)
}

function stopped(signal: AbortSignal): Promise<undefined> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve(undefined)
    signal.addEventListener('abort', () => resolve(undefined), { once: true })
  })
}
