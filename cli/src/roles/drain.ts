import { closeAll, type Log, sleep } from '@popmq/kit'
import { asMqError, MqError } from '@popmq/protocol'
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
  {
    invocation: { clock, signal },
    log,
  }: { invocation: Pick<Invocation, 'clock' | 'signal'>; log: Log },
): Promise<void> {
  const failure = await Promise.race([stopped(signal), ...roles.map((role) => role.failed)])
  log.info('draining', { roles: roles.length, failed: failure?.name })
  const closing = new AbortController()
  const late = sleep(clock, drainMs, closing.signal).then((): CloseEnd => ({ kind: 'late' }))
  const end = await Promise.race([close(roles), late])
  closing.abort()
  if (failure !== undefined) throw failure
  if (end.kind === 'failed') throw end.error
  if (end.kind === 'late') {
    throw new MqError(
      'timed_out',
      `closing took longer than ${drainMs} ms: the next start recovers as after a crash`,
    )
  }
}

type CloseEnd =
  | { readonly kind: 'closed' | 'late' }
  | { readonly kind: 'failed'; readonly error: Error }

async function close(roles: readonly Role[]): Promise<CloseEnd> {
  try {
    await closeAll(roles)
    return { kind: 'closed' }
  } catch (error) {
    return { kind: 'failed', error: asMqError(error) }
  }
}

function stopped(signal: AbortSignal): Promise<undefined> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve(undefined)
    signal.addEventListener('abort', () => resolve(undefined), { once: true })
  })
}
