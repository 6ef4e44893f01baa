import { decodeBody, type Exchange, MqError, replyBit, replyBodyLimits } from '@popmq/protocol'
import type { Deadline } from './deadlines.ts'

export interface Reply<R> {
  readonly reply: R
  /** The record bytes of the reply: a view of its message, so copy what outlives it. */
  readonly bytes: Uint8Array
}

/** Who waits for an answer, and who is told when the wait is over. */
export interface PendingCallParts<R> {
  readonly exchange: Pick<Exchange<unknown, R>, 'name' | 'type' | 'reply'>
  readonly dueMs: number
  readonly signal: AbortSignal | undefined
  readonly resolve: (reply: Reply<R>) => void
  readonly reject: (error: MqError) => void
  /** Called once, before either of the two. `expired` tells that its deadline has fired. */
  readonly onSettled: (how: 'answered' | 'expired') => void
}

/** A request that waits for its answer. The first of reply, error, deadline, abort and lost connection settles it. */
export class PendingCall<R> implements Deadline {
  readonly dueMs: number
  readonly #parts: PendingCallParts<R>
  readonly #abort = (): void => {
    const { exchange, signal } = this.#parts
    this.fail(new MqError('aborted', `${exchange.name} was aborted`, { cause: signal?.reason }))
  }
  #settled = false

  constructor(parts: PendingCallParts<R>) {
    this.#parts = parts
    this.dueMs = parts.dueMs
    parts.signal?.addEventListener('abort', this.#abort, { once: true })
  }

  get settled(): boolean {
    return this.#settled
  }

  /** @throws MqError when the frame is not what the exchange promises; then the call still waits */
  reply(type: number, body: Uint8Array): void {
    const { exchange, resolve } = this.#parts
    if (type !== (exchange.type | replyBit)) {
      throw new MqError('malformed_frame', `a reply of type ${type} answers ${exchange.name}`)
    }
    const { fields, bytes } = decodeBody(body, replyBodyLimits)
    const reply = exchange.reply(fields, '')
    this.#settle('answered')
    resolve({ reply, bytes })
  }

  fail(error: MqError): void {
    if (this.#settled) return
    this.#settle('answered')
    this.#parts.reject(error)
  }

  expire(): void {
    this.#settle('expired')
    const { exchange, reject } = this.#parts
    reject(new MqError('timed_out', `${exchange.name} had no answer in its time limit`))
  }

  #settle(how: 'answered' | 'expired'): void {
    this.#settled = true
    this.#parts.signal?.removeEventListener('abort', this.#abort)
    this.#parts.onSettled(how)
  }
}

/** A pending call of whatever reply. */
export type AnyPendingCall = Pick<PendingCall<unknown>, keyof PendingCall<unknown>>
