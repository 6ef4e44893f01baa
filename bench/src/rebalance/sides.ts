/** What a member's process is told, and answers. Times are ms on the clock that the processes share. */
import type { Tenure } from './tenures.ts'

export interface JoinGiven {
  readonly group: string
  readonly topic: string
}

export interface Told {
  /** Of each partition that it ever had, the latest. */
  readonly tenures: readonly Tenure[]
}
