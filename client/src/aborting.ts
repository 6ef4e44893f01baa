import { setMaxListeners } from 'node:events'
import { MqError } from '@popmq/protocol'

/** The error of a wait that its caller gave up. */
export function aborted(signal: AbortSignal): MqError {
  return new MqError('aborted', 'the caller stopped waiting', { cause: signal.reason })
}

/** @throws MqError `aborted` */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw aborted(signal)
}

/**
 * Calls `abort` once when the signal says so. Any number of waits may share a signal, as those of a process that stops do:
 * each stops listening in the end, and Node would take the eleventh for a leak.
 * @returns a function that stops listening
 */
export function onAbort(signal: AbortSignal | undefined, abort: () => void): () => void {
  if (signal === undefined) return () => undefined
  setMaxListeners(0, signal)
  signal.addEventListener('abort', abort, { once: true })
  return () => signal.removeEventListener('abort', abort)
}

/** As `promise`, but rejects with `aborted` as soon as the signal says so; what was waited for goes on unheard. */
export function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(aborted(signal))
    if (signal.aborted) abort()
    const heard = promise.finally(onAbort(signal, abort))
    heard.then(resolve, reject)
  })
}
