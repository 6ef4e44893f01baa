import { assert } from '@popmq/kit'
import type { Exchange } from '@popmq/protocol'

/** What a handler answers. */
export interface Answer<R> {
  readonly reply: R
  /** Record bytes that travel beside the reply, sent as they are: they must not change afterwards. */
  readonly slices?: readonly Uint8Array[]
}

/** The connection that a request came on. */
export interface ConnectionInfo {
  readonly id: number
  /** The name that the client gave itself. */
  readonly client: string
  /** The peer's address. */
  readonly remote: string
}

/** What a handler knows of its request besides the fields. */
export interface RequestContext {
  /** Record bytes beside the fields: a view of the message, so copy what outlives the request. */
  readonly bytes: Uint8Array
  readonly connection: ConnectionInfo
  /** Whether the connection has gone: nobody waits for the answer. */
  readonly isClosed: boolean
  /** Calls `listener` if the connection goes while the request is being handled; at once if it has gone. */
  onClosed(listener: () => void): void
}

/**
 * Answers one kind of request. `undefined` means that there is no reply (acks none). An MqError thrown goes to the
 * client; anything else thrown is a defect, answered `internal` and told to `observe`.
 */
export type Handler<Q, R> = (
  request: Q,
  context: RequestContext,
) => Answer<R> | undefined | Promise<Answer<R> | undefined>

/** A handler with the checks of its exchange. */
export interface Route {
  readonly type: number
  readonly name: string
  /** @throws MqError `invalid_request` naming the field; whatever the handler throws */
  answer(fields: unknown, context: RequestContext): ReturnType<Handler<unknown, object>>
}

/** Routes by the frame type of their request. */
export type Routes = ReadonlyMap<number, Route>

export function route<Q, R extends object>(
  exchange: Exchange<Q, R>,
  handler: Handler<Q, R>,
): Route {
  return {
    type: exchange.type,
    name: exchange.name,
    answer: (fields, context) => handler(exchange.request(fields, ''), context),
  }
}

export function routes(...all: readonly Route[]): Routes {
  const byType = new Map(all.map((each) => [each.type, each]))
  assert(byType.size === all.length, 'each request type has one handler')
  return byType
}
