import {
  commit,
  type Grant,
  groupJoin,
  groupLeave,
  groupRelease,
  groupSession,
  groupStart,
  type HeldGrant,
  type MqError,
  offset,
  partitionNumber,
  type ReplyOf,
  type RequestOf,
} from '@popmq/protocol'
import type { Caller } from '@popmq/transport'
import type { CoordinatorWorld } from './coordinator-world.ts'

export type JoinFields = Partial<RequestOf<typeof groupJoin>> &
  Pick<RequestOf<typeof groupJoin>, 'group' | 'topics'>

/** A member of a group as the coordinator sees one: it holds a request and gives back what is revoked. */
export class TestMember {
  readonly joined: ReplyOf<typeof groupJoin>
  readonly #caller: Caller
  version = 0
  grants: readonly Grant[] = []
  revoking: readonly HeldGrant[] = []
  paused: readonly number[] = []
  /** What ended `keep`. */
  ended: MqError | undefined
  #isStopped = false

  constructor(caller: Caller, joined: ReplyOf<typeof groupJoin>) {
    this.#caller = caller
    this.joined = joined
  }

  static async join(world: CoordinatorWorld, fields: JoinFields): Promise<TestMember> {
    const caller = await world.connect('member')
    try {
      const request = { mode: 'pull' as const, drainMs: 5_000, ...fields }
      const { reply } = await world.during(caller.call(groupJoin, request, { timeoutMs: 10_000 }))
      return new TestMember(caller, reply)
    } catch (error) {
      await world.during(caller.close())
      throw error
    }
  }

  get #who(): Pick<RequestOf<typeof groupLeave>, 'groupId' | 'memberId'> {
    const { groupId, memberId } = this.joined
    return { groupId, memberId }
  }

  get memberId(): string {
    return this.joined.memberId
  }

  /** Begins every topic that is not begun at these offsets. */
  async startAll(offsets: readonly number[]): Promise<void> {
    for (const { topicId } of this.joined.unstarted) {
      const request = { ...this.#who, topicId, offsets: offsets.map((at) => offset(at)) }
      await this.#caller.call(groupStart, request, { timeoutMs: 10_000 })
    }
  }

  /** One turn of the held request. */
  async turn(waitMs = 1_000): Promise<ReplyOf<typeof groupSession>> {
    const request = { ...this.#who, version: this.version, waitMs }
    const { reply } = await this.#caller.call(groupSession, request, { timeoutMs: 70_000 })
    this.version = reply.version
    if (reply.assignment !== undefined) Object.assign(this, reply.assignment)
    return reply
  }

  async release(released: readonly HeldGrant[] = this.revoking): Promise<void> {
    await this.#caller.call(groupRelease, { ...this.#who, released }, { timeoutMs: 10_000 })
  }

  /** @returns what was refused */
  async commit(
    partition: number,
    at: number,
    of: Partial<HeldGrant> = {},
  ): Promise<ReplyOf<typeof commit>['refused']> {
    const held = [...this.grants, ...this.revoking].find((each) => each.partition === partition)
    const { topicId, epoch } = { ...held, ...of } as HeldGrant
    const one = { topicId, partition: partitionNumber(partition), epoch, offset: offset(at) }
    const request = { ...this.#who, partitions: [one] }
    return (await this.#caller.call(commit, request, { timeoutMs: 60_000 })).reply.refused
  }

  async leave(): Promise<void> {
    this.#isStopped = true
    await this.#caller.call(groupLeave, this.#who, { timeoutMs: 10_000 })
  }

  /** Goes on in the background, giving back at once what is revoked. @returns this */
  keep(): this {
    void this.#keep().catch((error: MqError) => (this.ended = error))
    return this
  }

  /** Ends as a killed process does. */
  async kill(): Promise<void> {
    this.#isStopped = true
    await this.#caller.close()
  }

  /** Falls silent with its connection standing. */
  freeze(): void {
    this.#isStopped = true
  }

  async #keep(): Promise<void> {
    while (!this.#isStopped) {
      await this.turn(2_000)
      if (this.revoking.length > 0) await this.release()
    }
  }
}
