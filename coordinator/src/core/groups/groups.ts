import { assert, type Clock, Heap, type Random, type Timer } from '@popmq/kit'
import { checkName, type GroupId, MqError, quoted, type TopicInfo } from '@popmq/protocol'
import type { Leadership } from '../leadership.ts'
import type { RegistrySession } from '../registry-port.ts'
import type { Topics } from '../topics.ts'
import { assignBuiltIn, assignByModule, type AssignorModules } from './assignor-choice.ts'
import type { Group } from './group.ts'
import { GrantWriter } from './grant-writer.ts'
import { hasToWrite } from './group-grants.ts'
import { applyPlan, assignorInput } from './group-plan.ts'
import { knownMember, type Member } from './members.ts'
import { ProgressFlush } from './progress-flush.ts'
import { giveDeadTopic } from './group-record.ts'
import { restoreGroups } from './group-restore.ts'
import { ServedGroups } from './served-groups.ts'
import { dropDeletedTopics } from './topic-drop.ts'

export interface GroupsOptions {
  readonly leadership: Leadership
  readonly session: RegistrySession
  readonly clock: Clock
  readonly random: Random
  readonly topics: Pick<Topics, 'shown'>
  /** Assignors that users brought. */
  readonly modules?: AssignorModules | undefined
  /** Resolves once every broker with a session has applied this version. @throws MqError `timed_out` */
  readonly reached: (version: number) => Promise<void>
}

export interface GroupCounts {
  readonly groups: number
  readonly groupMembers: number
  /** Requests of members that are held. */
  readonly heldSessions: number
}

/**
 * The groups, and what is due in them: one timer for the nearest deadline of all. Each group is worked on by one turn at
 * a time, which plans what is due and writes what is to be granted, until nothing is left.
 */
export class Groups {
  readonly leadership: Leadership
  readonly flush: ProgressFlush
  readonly clock: Clock
  readonly random: Random
  readonly modules: AssignorModules
  readonly served: ServedGroups
  readonly #grants: GrantWriter
  readonly #topics: Pick<Topics, 'shown'>
  readonly #byKey = new Map<string, Group>()
  readonly #byId = new Map<GroupId, Group>()
  readonly #membersByConnection = new Map<number, Set<Member>>()
  readonly #deadlines = new Heap<Deadline>((a, b) => a.atMs < b.atMs)
  #timer: { readonly atMs: number; readonly timer: Timer } | undefined
  #isClosed = false

  readonly #session: RegistrySession

  constructor(options: GroupsOptions) {
    this.#session = options.session
    this.leadership = options.leadership
    this.clock = options.clock
    this.random = options.random
    this.modules = options.modules ?? new Map()
    this.#topics = options.topics
    this.served = new ServedGroups(options.reached)
    this.#grants = new GrantWriter(options.leadership)
    this.flush = new ProgressFlush(options)
  }

  /** Reads all groups from the registry. Call it when the topics are there. @throws MqError as `Leadership.guarded` */
  async restore(): Promise<void> {
    const { version } = this.leadership.counters
    this.served.changed(version)
    for (const group of await restoreGroups(this, this.#session)) {
      group.subscribedVersion = version
      this.add(group)
      await giveDeadTopic(this, group)
      this.arm(group, group.nextMs)
      dropDeletedTopics(this, group)
    }
  }

  get nowMs(): number {
    return this.clock.monotonic()
  }

  get counts(): GroupCounts {
    let groupMembers = 0
    let heldSessions = 0
    for (const { members } of this.#byId.values()) {
      groupMembers += members.size
      for (const { waiters } of members) heldSessions += waiters.size
    }
    return { groups: this.#byId.size, groupMembers, heldSessions }
  }

  /** By name. */
  list(): Group[] {
    return [...this.#byId.values()].toSorted((a, b) => (a.record.name < b.record.name ? -1 : 1))
  }

  /** @throws MqError `group_not_found` */
  named(name: string): Group {
    const group = this.#byKey.get(name.toLowerCase())
    if (group?.record.name === name) return group
    throw groupNotFound(name, group?.record.name)
  }

  /** The group of this name if there is one. @throws MqError `invalid_name`, also where a name differs in capitals only */
  namedOrNew(name: string): Group | undefined {
    checkName('group', name)
    const group = this.#byKey.get(name.toLowerCase())
    if (group === undefined || group.record.name === name) return group
    throw new MqError(
      'invalid_name',
      `group ${quoted(group.record.name)} exists, and names must differ in more than capital letters from ${quoted(name)}`,
    )
  }

  /** @throws MqError `member_unknown` */
  memberOf(groupId: GroupId, memberId: string): { readonly group: Group; readonly member: Member } {
    const group = this.#byId.get(groupId)
    const member = knownMember(group?.members, memberId)
    if (group === undefined) throw new MqError('member_unknown', 'the group is gone')
    return { group, member }
  }

  byId(groupId: GroupId): Group | undefined {
    return this.#byId.get(groupId)
  }

  topic(name: string): TopicInfo | undefined {
    return this.#topics.shown([name])[0]
  }

  add(group: Group): void {
    assert(!this.#byId.has(group.id), 'a group id is given once')
    this.#byId.set(group.id, group)
    this.#byKey.set(group.record.name.toLowerCase(), group)
  }

  remove(group: Group): void {
    group.isDeleted = true
    this.#byId.delete(group.id)
    this.#byKey.delete(group.record.name.toLowerCase())
  }

  /** A member was heard over this connection. */
  contact(member: Member, connection: number): void {
    if (member.connection === connection) return
    this.gone(member)
    member.connection = connection
    const there = this.#membersByConnection.get(connection)
    if (there === undefined) this.#membersByConnection.set(connection, new Set([member]))
    else there.add(member)
  }

  /** A member has ended, or is heard elsewhere. */
  gone(member: Member): void {
    if (member.connection === undefined) return
    const there = this.#membersByConnection.get(member.connection)
    there?.delete(member)
    if (there?.size === 0) this.#membersByConnection.delete(member.connection)
    member.connection = undefined
  }

  /** The connection with this number has closed: its members have the rest of their sessions to come back. */
  connectionClosed(connection: number): void {
    for (const member of this.#membersByConnection.get(connection) ?? []) {
      member.connection = undefined
      if (member.state === 'live') member.state = 'detached'
    }
    this.#membersByConnection.delete(connection)
  }

  /** Partitions were added to a topic, or it is gone. */
  topicChanged({ id, name }: Pick<TopicInfo, 'id' | 'name'>): void {
    const info = this.topic(name)
    for (const group of this.#byId.values()) {
      if (group.topic(id) === undefined) continue
      if (info?.id !== id) dropDeletedTopics(this, group)
      else if (group.topic(id)?.mode !== 'pop') {
        for (const reading of group.readings.values())
          if (reading.topicId === id) reading.grow(info.sets.length)
        group.planTime.changed('topic_changed', this.nowMs)
        this.work(group)
      }
    }
  }

  /** Something in the group has changed: does what is due now, and sees to what is due later. */
  work(group: Group): void {
    if (!this.#isOpen(group)) return
    if (!group.isWorking) {
      group.isWorking = true
      void this.#turn(group)
    }
    this.arm(group, group.nextMs)
  }

  /** Something is due in the group at `atMs`. */
  arm(group: Group, atMs: number): void {
    if (this.#isClosed || group.isDeleted || atMs >= (group.armedMs ?? Number.POSITIVE_INFINITY))
      return
    group.armedMs = atMs
    this.#deadlines.push({ atMs, group })
    this.#setTimer()
  }

  /** Ends held requests: their handlers then see that nothing leads here. */
  close(): void {
    this.#isClosed = true
    this.#timer?.timer.cancel()
    for (const group of this.#byId.values())
      for (const member of group.members) member.waiters.close()
  }

  /** Plans and writes until nothing is due. */
  async #turn(group: Group): Promise<void> {
    try {
      while (this.#isOpen(group)) {
        if (group.planTime.dueMs <= this.nowMs) await this.#plan(group)
        else if (hasToWrite(group) && group.retryAtMs === undefined) await this.#grants.write(group)
        else break
      }
    } catch (error) {
      if (!(error instanceof MqError)) throw error
      // Nothing was done, as on a full disk, or this coordinator leads no more: then there is no further turn.
      group.retryAtMs = this.nowMs + retryMs
    }
    // At once, so that a change from now on begins a turn of its own.
    group.isWorking = false
    if (this.#isOpen(group)) this.arm(group, group.nextMs)
  }

  #isOpen(group: Group): boolean {
    return !this.#isClosed && !group.isDeleted && this.leadership.deposed === undefined
  }

  async #plan(group: Group): Promise<void> {
    const triggers = group.planTime.take(this.nowMs)
    const { assignor } = group.policy
    const input = assignorInput(group)
    const assigned =
      assignBuiltIn(assignor, input) ?? (await assignByModule(assignor, input, this.modules))
    if (group.isDeleted) return
    applyPlan(group, { ...assigned, triggers, at: this.clock.now() })
  }

  #setTimer(): void {
    const next = this.#deadlines.peek()
    if (next === undefined || this.#isClosed) return
    if (this.#timer !== undefined && this.#timer.atMs <= next.atMs) return
    this.#timer?.timer.cancel()
    const timer = this.clock.after(Math.max(0, next.atMs - this.nowMs), () => {
      this.#timer = undefined
      this.#due()
    })
    this.#timer = { atMs: next.atMs, timer }
  }

  #due(): void {
    const { nowMs } = this
    for (let next = this.#deadlines.peek(); next !== undefined; next = this.#deadlines.peek()) {
      if (next.atMs > nowMs) break
      this.#deadlines.pop()
      const { group, atMs } = next
      // An earlier one was armed since: this one was replaced by it.
      if (group.armedMs !== atMs) continue
      group.armedMs = undefined
      if (group.retryAtMs !== undefined && group.retryAtMs <= nowMs) group.retryAtMs = undefined
      for (const member of group.expire(nowMs)) this.gone(member)
      this.work(group)
    }
    this.#setTimer()
  }
}

export function groupNotFound(name: string, twin?: string): MqError {
  const hint = twin === undefined ? '' : `; there is ${quoted(twin)}`
  return new MqError('group_not_found', `there is no group ${quoted(name)}${hint}`)
}

interface Deadline {
  readonly atMs: number
  readonly group: Group
}

const retryMs = 1_000
