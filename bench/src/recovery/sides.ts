/** What the producing process of recovery is told, and answers. */
import type { AckedPlace } from './last-acked.ts'

export interface FillGiven {
  readonly topic: string
  readonly partitions: number
  readonly batch: number
  readonly sizeBytes: number
}

export interface Acked {
  readonly messages: number
  readonly last: readonly AckedPlace[]
}
