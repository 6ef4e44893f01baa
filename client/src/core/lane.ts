import type { TopicInfo } from '@popmq/protocol'
import type { Outlet } from './outlet.ts'
import type { Partitioner } from './partitioner.ts'
import type { RunSequence } from './run-sequence.ts'

/** A topic that is sent to, with what is known of it. */
export interface LaneTopic {
  info: TopicInfo
  readonly lanes: (Lane | undefined)[]
  readonly partitioner: Partitioner
}

/**
 * The runs of one partition and where they stand:
 *   quiet      nothing to send, or all that may be sent is under way
 *   ready      in the outlet of its leader
 *   paused     after a failure, until its sequence goes on
 *   homeless   no broker leads it: it waits for other routes
 */
export interface Lane {
  readonly topic: LaneTopic
  readonly partition: number
  readonly sequence: RunSequence
  state: 'quiet' | 'ready' | 'paused' | 'homeless'
  /** Where it is ready. */
  outlet: Outlet | undefined
  /** Whether it changed since it was last placed. */
  isTouched: boolean
  /** Bytes of its last run: room for the next. */
  roomBytes: number
}
