import { MqError } from '@popmq/protocol'

/** The error of a wait that its caller gave up. */
export function aborted(signal: AbortSignal): MqError {
  return new MqError('aborted', 'the caller stopped waiting', { cause: signal.reason })
}

/** @throws MqError `aborted` */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw aborted(signal)
}

/** As `promise`, but rejects with `aborted` as soon as the signal says so; what was waited for goes on unheard. */
export function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(aborted(signal))
    if (signal.aborted) abort()
    signal.addEventListener('abort', abort, { once: true })
    const heard = promise.finally(() => signal.removeEventListener('abort', abort))
    heard.then(resolve, reject)
  })
}
