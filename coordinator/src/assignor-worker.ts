import { parentPort, workerData } from 'node:worker_threads'
import { present } from '@popmq/kit'

/**
 * Runs a user's assignor in a thread of its own: `workerData` is the URL of the module, which exports `assign`. Says
 * `ready` or why not; then answers each input with what `assign` gives.
 */
export type AssignorReply =
  | { readonly kind: 'ready' }
  | { readonly kind: 'unusable'; readonly reason: string }
  | { readonly kind: 'result'; readonly number: number; readonly result: unknown }
  | { readonly kind: 'failed'; readonly number: number; readonly reason: string }

export interface AssignorAsked {
  readonly number: number
  readonly input: unknown
}

const port = present(parentPort, 'this file runs in a worker thread')
const say = (reply: AssignorReply): void => port.postMessage(reply)

try {
  const loaded = (await import(String(workerData))) as { readonly assign?: unknown }
  const { assign } = loaded
  if (typeof assign === 'function') {
    port.on('message', ({ number, input }: AssignorAsked) => answer(assign, { number, input }))
    say({ kind: 'ready' })
  } else {
    say({ kind: 'unusable', reason: `it exports no function assign, but ${typeof assign}` })
  }
} catch (error) {
  say({ kind: 'unusable', reason: `it cannot be loaded: ${String(error)}` })
}

function answer(assign: unknown, { number, input }: AssignorAsked): void {
  try {
    const result: unknown = (assign as (given: unknown) => unknown)(input)
    // What cannot be copied to the other thread throws here too.
    say({ kind: 'result', number, result })
  } catch (error) {
    say({ kind: 'failed', number, reason: `it threw ${String(error)}` })
  }
}
