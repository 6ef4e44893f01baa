import { type Clock, sleep } from '@popmq/kit'
import type { GroupId } from '@popmq/protocol'
import { MqError } from '@popmq/protocol'
import { throwIfAborted } from './aborting.ts'
import type { GroupSource, OpenedGroup } from './pop-group.ts'

export interface MemberGroupDeps {
  readonly clock: Clock
  /** Names of its topics by id, as they are known. */
  readonly names: ReadonlyMap<number, string>
  readonly leaseMs: number
}

/** How often a group that is not known yet is looked for. */
const lookMs = 100

/** The group of a member, for what pops and settles its retries: known once it has joined, also after its session. */
export class MemberGroup implements GroupSource {
  readonly #deps: MemberGroupDeps
  #opened: OpenedGroup | undefined

  constructor(deps: MemberGroupDeps) {
    this.#deps = deps
  }

  get opened(): OpenedGroup | undefined {
    return this.#opened
  }

  joined(groupId: GroupId): void {
    if (this.#opened?.groupId === groupId) return
    const { leaseMs: invisibleMs, names } = this.#deps
    this.#opened = { groupId, invisibleMs, names }
  }

  async open(endsAt: number, signal: AbortSignal | undefined): Promise<OpenedGroup> {
    const { clock } = this.#deps
    for (;;) {
      throwIfAborted(signal)
      if (this.#opened !== undefined) return this.#opened
      if (clock.monotonic() >= endsAt) throw new MqError('timed_out', 'the group was not joined')
      await sleep(clock, lookMs, signal)
    }
  }

  /** Nothing: a broker may not have heard of it yet; when it is gone, so is the session, and joining tells. */
  forget(): void {
    return undefined
  }
}
