import { limits } from '@popmq/protocol'

/** What one connection may cost. Bytes, counts and ms. */
export interface ResponderLimits {
  /** Requests that wait for an answer; one more is answered `too_many_requests`. */
  readonly requestsInFlight: number
  /** Bytes of requests being handled at which reading stops; it goes on at half. */
  readonly ingressBytes: number
  /** Bytes of replies not yet taken at which reading stops; it goes on when all are taken. */
  readonly outboundBytes: number
  /** Bytes of replies not yet taken at which the connection is closed. */
  readonly mostOutboundBytes: number
  /** How long replies above `outboundBytes` may take to drain before the connection is closed. */
  readonly drainMs: number
  /** How long the client may take to say hello. */
  readonly helloMs: number
}

export const responderLimits: ResponderLimits = {
  requestsInFlight: limits.requestsInFlight,
  ingressBytes: 16 * 1_048_576,
  outboundBytes: 4 * 1_048_576,
  mostOutboundBytes: 256 * 1_048_576,
  drainMs: 30_000,
  helloMs: 5_000,
}
