import type { PreparedMessage } from '@popmq/protocol'
import type { Lane } from './lane.ts'
import type { Outlet } from './outlet.ts'
import type { RecordOwner, Run } from './run.ts'

/** One message of a topic, measured. */
export interface BatchedMessage {
  readonly message: PreparedMessage
  /** The ids of the call that it came with: its own is at `slot`, 16 bytes each. */
  readonly ids: Uint8Array
  /** The partition that the user named. */
  readonly partition: number | undefined
  readonly owner: RecordOwner
  /** What the owner calls it. */
  readonly slot: number
  /** When its delivery ends, on the monotonic clock. */
  readonly expiresAt: number
}

/** The runs of several partitions, led by one broker. */
export interface ProduceRequest {
  readonly outlet: Outlet
  readonly runs: readonly Run[]
  /** The lane of each run. */
  readonly lanes: readonly Lane[]
}
