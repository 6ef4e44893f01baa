import { MqError } from '@popmq/protocol'
import type { IncomingRequest } from './incoming-request.ts'

/**
 * The requests of one connection that wait for an answer. While there are none it keeps no map: most connections are
 * idle, and an empty map is 200 B.
 */
export class RequestsInFlight {
  #byId: Map<number, IncomingRequest> | undefined

  get size(): number {
    return this.#byId?.size ?? 0
  }

  /** Why one more cannot be taken, if it cannot. */
  refusal(correlationId: number, most: number): MqError | undefined {
    if (this.#byId?.has(correlationId) === true) {
      return new MqError(
        'invalid_request',
        `correlation id ${correlationId} is in use by a request in flight`,
      )
    }
    if (this.size < most) return undefined
    return new MqError(
      'too_many_requests',
      `${this.size} requests of this connection wait for an answer`,
    )
  }

  add(request: IncomingRequest): void {
    this.#byId ??= new Map()
    this.#byId.set(request.correlationId, request)
  }

  remove({ correlationId }: IncomingRequest): void {
    this.#byId?.delete(correlationId)
    if (this.size === 0) this.#byId = undefined
  }

  /** The connection has gone; what its requests listen for may remove them. */
  closed(): void {
    for (const request of [...(this.#byId?.values() ?? [])]) request.connectionClosed()
  }
}
