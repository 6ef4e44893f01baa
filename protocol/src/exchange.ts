import { type Check, located } from './fields.ts'

/**
 * One request and its reply. Both are a map of checked fields and, where the exchange says so, record bytes beside it.
 * Adding an optional field is compatible; a change of meaning is a new exchange.
 */
export interface Exchange<Request, Reply> {
  /** The frame type of the request: 1..127. Its reply has the top bit set. */
  readonly type: number
  readonly name: string
  readonly request: Check<Request>
  readonly reply: Check<Reply>
}

export type RequestOf<E> = E extends Exchange<infer Request, unknown> ? Request : never
export type ReplyOf<E> =
  E extends Exchange<never, infer Reply>
    ? Reply
    : E extends Exchange<infer _, infer Reply>
      ? Reply
      : never

export function exchange<Request, Reply>(
  parts: Exchange<Request, Reply>,
): Exchange<Request, Reply> {
  const { request, reply } = parts
  return Object.freeze({ ...parts, request: located(request), reply: located(reply) })
}
