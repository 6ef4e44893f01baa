/** What the sending process is told, and answers. */

export interface SendGiven {
  readonly topic: string
  readonly messages: number
  readonly sizeBytes: number
}

export interface SentOneByOne {
  /** From each call of `send` to its receipt, see `LatencyHistogram`. */
  readonly took: string
}

export interface SentInFlight {
  readonly firstSendMs: number
  readonly lastAckMs: number
}
