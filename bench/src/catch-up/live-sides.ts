/** What the processes of live traffic are told, and answer. Times are ms on the clock that the processes share. */

export interface LiveGiven {
  readonly topic: string
  readonly partitions: number
  readonly sizeBytes: number
  /** Messages per second. */
  readonly rate: number
}

export interface LiveStarted {
  /** When message 0 was due; the others follow evenly. */
  readonly startMs: number
}

export interface LiveStopped {
  readonly sent: number
}

export interface LivePace extends LiveStarted {
  readonly rate: number
}

/** Which messages: `from` up to, and not with, `to`. */
export interface LiveSpan {
  readonly from: number
  readonly to: number
}

export interface LiveAsked extends LivePace {
  /** Which messages are looked at, all together. */
  readonly spans: readonly LiveSpan[]
}
