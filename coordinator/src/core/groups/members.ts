import { assert, type Clock, present } from '@popmq/kit'
import { type GroupMode, MqError, quoted, type TopicId } from '@popmq/protocol'
import { Waiters } from '../waiters.ts'
import type { GrantRow, RecordedMove } from './grant-row.ts'
import type { MemberRecord, MembersRecord } from './group-values.ts'

/**
 * A member of a group. Its session is
 *   live        heard within the group's `sessionMs`, over a connection that stands
 *   detached    the same, but that connection has closed
 *   recovering  known from the registry when this coordinator began to lead
 *   ended       none of these: it is a member no longer
 * join → live ; heard: detached | recovering → live ; its connection closes: live → detached ;
 * leave, time, another takes its static name → ended
 */
export class Member {
  readonly id: string
  /** Its number in the registry. */
  readonly index: number
  /** The static name. */
  readonly name: string | undefined
  readonly client: string | undefined
  readonly mode: GroupMode
  readonly drainMs: number
  /** When it joined; with a static name, when the first of that name did. */
  readonly joinedAt: number
  readonly topics: Set<TopicId>
  remote = ''
  state: 'live' | 'detached' | 'recovering' | 'ended'
  endsMs: number
  connection: number | undefined
  /** What it holds, revoking too. */
  readonly rows = new Set<GrantRow>()
  /** Grows whenever its assignment changes; 0: it has had nothing. */
  version = 0
  /** Moves to it that it has not been heard to know of, with the version that tells them. */
  unheard: { readonly move: RecordedMove; readonly sinceMs: number; readonly version: number }[] =
    []
  /** Its held requests: they wait for its own version only. */
  readonly waiters: Waiters

  constructor(
    clock: Clock,
    of: Omit<MemberRecord, 'subscription' | 'member' | 'client'> & {
      readonly member: string | undefined
      readonly client: string | undefined
      readonly topics: Iterable<TopicId>
    } & Pick<Member, 'state' | 'endsMs'>,
  ) {
    this.id = of.id
    this.index = of.index
    this.name = of.member
    this.client = of.client
    this.mode = of.mode
    this.drainMs = of.drainMs
    this.joinedAt = of.joinedAt
    this.topics = new Set(of.topics)
    this.state = of.state
    this.endsMs = of.endsMs
    this.waiters = new Waiters(clock)
  }

  /** Its assignment has changed. */
  changed(): void {
    this.version += 1
  }
}

/** The members of one group. */
export class Members {
  readonly #byId = new Map<string, Member>()
  readonly #byName = new Map<string, Member>()
  /** Distinct lists of topics, with how many members have each: they are written once each. */
  readonly #subscriptions = new Map<string, number>()
  #lastIndex = 0
  #bytes = 0

  get size(): number {
    return this.#byId.size
  }

  /** About how long the node with all of them is. */
  get bytes(): number {
    return this.#bytes
  }

  get(id: string): Member | undefined {
    return this.#byId.get(id)
  }

  named(name: string): Member | undefined {
    return this.#byName.get(name)
  }

  /** In the order in which they joined. */
  [Symbol.iterator](): IterableIterator<Member> {
    return this.#byId.values()
  }

  /** Oldest first; whoever takes over a static name is as old as the one before. */
  byAge(): Member[] {
    return [...this.#byId.values()].toSorted((a, b) => a.joinedAt - b.joinedAt || a.index - b.index)
  }

  nextIndex(): number {
    this.#lastIndex += 1
    return this.#lastIndex
  }

  add(member: Member): void {
    assert(!this.#byId.has(member.id), 'a member id is given once')
    this.#byId.set(member.id, member)
    if (member.name !== undefined) this.#byName.set(member.name, member)
    this.#count(member, 1)
  }

  /** It is a member no longer. What it holds is freed elsewhere. */
  remove(member: Member): void {
    assert(this.#byId.delete(member.id), 'a member that ends was there')
    if (member.name !== undefined && this.#byName.get(member.name) === member)
      this.#byName.delete(member.name)
    this.#count(member, -1)
    member.state = 'ended'
    member.waiters.wake()
  }

  /** A topic was deleted: nobody reads it any longer. */
  dropTopic(topicId: TopicId): void {
    for (const member of this.#byId.values()) {
      if (!member.topics.has(topicId)) continue
      this.#count(member, -1)
      member.topics.delete(topicId)
      this.#count(member, 1)
    }
  }

  /** @throws MqError `member_in_use` with the rest of the session as `retryAfterMs` */
  checkName(name: string, nowMs: number): void {
    const there = this.#byName.get(name)
    if (there === undefined || there.state === 'detached' || there.endsMs <= nowMs) return
    throw new MqError(
      'member_in_use',
      `member name ${quoted(name)} is in use${there.remote === '' ? '' : ` from ${there.remote}`}`,
      { retryAfterMs: Math.max(1, Math.ceil(there.endsMs - nowMs)) },
    )
  }

  /** Those whose session is over. */
  over(nowMs: number): Member[] {
    return [...this.#byId.values()].filter(({ endsMs }) => endsMs <= nowMs)
  }

  /** When the next session ends if nothing is heard. */
  get nextEndMs(): number {
    let nextMs = Number.POSITIVE_INFINITY
    for (const { endsMs } of this.#byId.values()) nextMs = Math.min(nextMs, endsMs)
    return nextMs
  }

  record(rebalances: number): MembersRecord {
    const numbers = new Map<string, number>()
    const subscriptions: TopicId[][] = []
    const members = [...this.#byId.values()].map((member): MemberRecord => {
      const { index, id, name, client, mode, drainMs, joinedAt, topics } = member
      const key = subscriptionOf(member)
      let subscription = numbers.get(key)
      if (subscription === undefined) {
        subscription = subscriptions.push([...topics]) - 1
        numbers.set(key, subscription)
      }
      return {
        index,
        id,
        ...(name === undefined ? {} : { member: name }),
        ...(client === undefined ? {} : { client }),
        mode,
        drainMs,
        joinedAt,
        subscription,
      }
    })
    return { lastIndex: this.#lastIndex, rebalances, subscriptions, members }
  }

  /** Members found in the registry: each may still run, and has a whole session to be heard. */
  restore(record: MembersRecord, { clock, endsMs }: { clock: Clock; endsMs: number }): void {
    this.#lastIndex = record.lastIndex
    for (const of of record.members) {
      const topics = record.subscriptions[of.subscription] ?? []
      const { member, client } = of
      this.add(new Member(clock, { ...of, member, client, topics, state: 'recovering', endsMs }))
    }
  }

  #count(member: Member, step: 1 | -1): void {
    const key = subscriptionOf(member)
    const having = (this.#subscriptions.get(key) ?? 0) + step
    if (having === 0) this.#subscriptions.delete(key)
    else this.#subscriptions.set(key, having)
    const isOnly = having === (step === 1 ? 1 : 0)
    this.#bytes += step * (memberBytes(member) + (isOnly ? key.length + 3 : 0))
  }
}

/** @throws MqError `member_unknown` */
export function knownMember(members: Members | undefined, id: string): Member {
  const member = members?.get(id)
  if (member !== undefined) return member
  throw new MqError('member_unknown', `member ${quoted(id)} is not known here`)
}

const encoder = new TextEncoder()

function memberBytes({ name, client }: Member): number {
  const text = JSON.stringify([name ?? '', client ?? ''])
  return 160 + encoder.encode(text).length
}

function subscriptionOf({ topics }: Member): string {
  return [...topics].join(',')
}

/** The members whose numbers the rows of grants name. */
export function membersByIndex(members: Members): Map<number, Member> {
  return new Map(Array.from(members, (member) => [member.index, member]))
}

export function ownerOf(row: GrantRow): Member {
  return present(row.owner, 'a partition that is held has an owner')
}
