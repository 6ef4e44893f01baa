import type { Lane } from './lane.ts'
import type { Outlet } from './outlet.ts'
import type { Run, RunRecord } from './run.ts'

/** One message of a topic, measured. */
export interface BatchedMessage extends RunRecord {
  /** The partition that the user named. */
  readonly partition: number | undefined
}

/** The runs of several partitions, led by one broker. */
export interface ProduceRequest {
  readonly outlet: Outlet
  readonly runs: readonly Run[]
  /** The lane of each run. */
  readonly lanes: readonly Lane[]
}
