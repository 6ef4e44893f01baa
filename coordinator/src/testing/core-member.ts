import assert from 'node:assert/strict'
import { sleep } from '@popmq/kit'
import {
  commit,
  type Exchange,
  type Grant,
  groupJoin,
  groupLeave,
  groupRelease,
  groupSession,
  groupStart,
  type HeldGrant,
  isMqError,
  offset,
  type ReplyOf,
  type RequestOf,
} from '@popmq/protocol'
import { groupRoutes } from '../group-routes.ts'
import type { GroupsWorld } from './groups-world.ts'

export type JoinFields = Partial<RequestOf<typeof groupJoin>>

/** What a member does with what it is told. */
export interface MemberHabits {
  /** Where it begins what nobody began. */
  readonly starts?: readonly number[]
  /** How long it handles on before it gives back what is revoked; infinite: it never does. */
  readonly releaseMs: number
  readonly told?: (member: CoreMember, grants: readonly Grant[]) => void
  readonly revoked?: (member: CoreMember, revoking: readonly HeldGrant[]) => void
}

let lastConnection = 0

/** A member over the handlers of whichever coordinator leads. It joins again when it is not known. */
export class CoreMember {
  readonly #world: GroupsWorld
  readonly fields: JoinFields
  habits: MemberHabits
  connection = 0
  joined: ReplyOf<typeof groupJoin> | undefined
  version = 0
  grants: readonly Grant[] = []
  revoking: readonly HeldGrant[] = []
  isStopped = false
  joins = 0
  errors: string[] = []

  constructor(
    world: GroupsWorld,
    fields: JoinFields = {},
    habits: MemberHabits = { releaseMs: 0 },
  ) {
    this.#world = world
    this.fields = fields
    this.habits = habits
  }

  get memberId(): string {
    return this.joined?.memberId ?? ''
  }

  get #who(): { groupId: ReplyOf<typeof groupJoin>['groupId']; memberId: string } {
    assert.ok(this.joined)
    const { groupId, memberId } = this.joined
    return { groupId, memberId }
  }

  /** One request to whichever coordinator leads, checked as a handler gets it. */
  async #ask<Q extends object, R>({ type }: Exchange<Q, R>, request: Q): Promise<R> {
    const route = groupRoutes(this.#world.cluster).find((each) => each.type === type)
    assert.ok(route)
    const context = {
      bytes: new Uint8Array(0),
      connection: { id: this.connection, client: 'test', remote: 'here' },
      isClosed: false,
      onClosed: () => undefined,
    }
    const answer = await route.answer(request, context)
    return answer?.reply as R
  }

  async join(): Promise<ReplyOf<typeof groupJoin>> {
    lastConnection += 1
    this.connection = lastConnection
    const request = { group: 'g', topics: ['t'], mode: 'pull' as const, drainMs: 1_000 }
    const reply = await this.#ask(groupJoin, { ...request, ...this.fields })
    this.joins += 1
    this.joined = reply
    this.version = 0
    this.grants = []
    this.revoking = []
    const offsets = (this.habits.starts ?? []).map((at) => offset(at))
    for (const { topicId } of reply.unstarted)
      await this.#ask(groupStart, { ...this.#who, topicId, offsets })
    return reply
  }

  /** One turn of the held request. */
  async turn(waitMs = 2_000): Promise<void> {
    const request = { ...this.#who, version: this.version, waitMs }
    const reply = await this.#ask(groupSession, request)
    if (this.isStopped) return
    this.version = reply.version
    if (reply.assignment === undefined) return
    const { grants, revoking } = reply.assignment
    const asked = new Set(this.revoking.map(keyOf))
    const news = revoking.filter((each) => !asked.has(keyOf(each)))
    this.grants = grants
    this.revoking = revoking
    this.habits.told?.(this, grants)
    if (news.length === 0) return
    this.habits.revoked?.(this, news)
    const { releaseMs } = this.habits
    if (releaseMs === 0) await this.release(news)
    else if (Number.isFinite(releaseMs))
      this.#world.scheduler.after(releaseMs, () => void this.#releaseLater(news))
  }

  async release(released: readonly HeldGrant[]): Promise<void> {
    await this.#ask(groupRelease, { ...this.#who, released })
    const gone = new Set(released.map(keyOf))
    this.revoking = this.revoking.filter((each) => !gone.has(keyOf(each)))
  }

  async commit(asked: HeldGrant, at: number): Promise<ReplyOf<typeof commit>['refused']> {
    const { topicId, partition, epoch } = asked
    const partitions = [{ topicId, partition, epoch, offset: offset(at) }]
    return (await this.#ask(commit, { ...this.#who, partitions })).refused
  }

  /** Joins and goes on in the background until it is stopped. @returns this */
  keep(): this {
    void this.#keep()
    return this
  }

  leave(): void {
    this.isStopped = true
    if (this.joined !== undefined) void this.#ask(groupLeave, this.#who).catch((e) => this.#note(e))
  }

  /** As a killed process: its connection closes. */
  kill(): void {
    this.isStopped = true
    this.#world.cluster.connectionClosed(this.connection)
  }

  /** As a stopped process: nothing more is heard. */
  freeze(): void {
    this.isStopped = true
  }

  async #releaseLater(released: readonly HeldGrant[]): Promise<void> {
    if (this.isStopped) return
    try {
      await this.release(released)
    } catch (error) {
      this.#note(error)
    }
  }

  async #keep(): Promise<void> {
    while (!this.isStopped) {
      try {
        if (this.joined === undefined) await this.join()
        await this.turn()
      } catch (error) {
        this.#note(error)
        if (isMqError(error, 'member_unknown')) {
          this.joined = undefined
          this.grants = []
          this.revoking = []
        } else {
          await sleep(this.#world.scheduler, 50)
        }
      }
    }
  }

  #note(error: unknown): void {
    if (!isMqError(error)) throw error
    this.errors.push(error.name)
  }
}

export function keyOf({ topicId, partition, epoch }: HeldGrant): string {
  return `${topicId}/${partition}@${epoch}`
}

export function partitionOf({
  topicId,
  partition,
}: Pick<HeldGrant, 'topicId' | 'partition'>): string {
  return `${topicId}/${partition}`
}
