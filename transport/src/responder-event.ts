import type { ErrorName, MqError } from '@popmq/protocol'
import type { ConnectionInfo } from './routes.ts'

/** What happens on a connection, for logs and metrics. */
export type ResponderEvent =
  | { readonly kind: 'hello'; readonly connection: ConnectionInfo }
  | AnsweredEvent
  /** Something that is not an MqError was thrown: our own bug. The client was told `internal`. */
  | { readonly kind: 'defect'; readonly name: string; readonly error: unknown }
  /** The client broke the protocol or a limit and its connection is being closed. */
  | { readonly kind: 'refused'; readonly connection: ConnectionInfo; readonly error: MqError }
  | ClosedEvent

/** A request was handled, whether its answer went out or not. */
export interface AnsweredEvent {
  readonly kind: 'answered'
  /** Of the exchange. */
  readonly name: string
  readonly tookMs: number
  readonly error: ErrorName | undefined
}

export interface ClosedEvent {
  readonly kind: 'closed'
  readonly connection: ConnectionInfo
  /** Absent when the server's own `close` did it without one. */
  readonly reason: MqError | undefined
}
