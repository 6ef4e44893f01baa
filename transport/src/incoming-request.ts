import type { ConnectionInfo, RequestContext, Route } from './routes.ts'

/** A request being handled by a responder. */
export class IncomingRequest implements RequestContext {
  readonly connection: ConnectionInfo
  readonly correlationId: number
  readonly route: Route
  readonly bytes: Uint8Array
  readonly frameBytes: number
  readonly startedMs: number
  #isClosed = false
  #listeners: (() => void)[] = []

  constructor(
    connection: ConnectionInfo,
    of: Pick<IncomingRequest, 'correlationId' | 'route' | 'bytes' | 'frameBytes' | 'startedMs'>,
  ) {
    this.connection = connection
    this.correlationId = of.correlationId
    this.route = of.route
    this.bytes = of.bytes
    this.frameBytes = of.frameBytes
    this.startedMs = of.startedMs
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  onClosed(listener: () => void): void {
    if (this.#isClosed) listener()
    else this.#listeners.push(listener)
  }

  connectionClosed(): void {
    this.#isClosed = true
    const listeners = this.#listeners
    this.#listeners = []
    for (const listener of listeners) listener()
  }
}
