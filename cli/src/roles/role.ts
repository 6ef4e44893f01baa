import type { Closable } from '@popmq/kit'
import type { MqError } from '@popmq/protocol'

/** A broker or a coordinator that runs in this process. */
export interface Role extends Closable {
  /** host:port as bound. */
  readonly address: string
  /** Resolves when it can serve no longer: its log failed, or it was fenced. */
  readonly failed: Promise<MqError>
}
