import { errorNumber, epoch, type Grant, type groupJoin, groupId, MqError } from '@popmq/protocol'
import { type commit, type groupSession, type HeldGrant, offset } from '@popmq/protocol'
import { partitionKey, partitionNumber, type ReplyOf, type RequestOf } from '@popmq/protocol'
import type { TopicInfo } from '@popmq/protocol'

interface FakeMember {
  readonly id: string
  readonly name: string | undefined
  readonly topics: readonly string[]
  version: number
  grants: Grant[]
  revoking: HeldGrant[]
}

/** What was done to a group, in order. */
export interface GroupAct {
  readonly what: 'commit' | 'release' | 'leave'
  readonly member: string
  readonly partitions: readonly { readonly partition: number; readonly offset?: number }[]
}

/**
 * A group as the coordinator plays it, in the plainest way: partition n goes to member n modulo their number; what has
 * another member is revoked first. Sessions end when a test says so.
 */
export class FakeGroup {
  readonly id: number
  readonly members = new Map<string, FakeMember>()
  readonly acts: GroupAct[] = []
  readonly progress = new Map<number, number>()
  readonly paused = new Set<number>()
  readonly #started = new Set<number>()
  readonly #topics: ReadonlyMap<string, TopicInfo>
  #nextMember = 1
  #epoch = 1
  /** Called when an assignment changed. */
  changed: () => void = () => undefined

  constructor(id: number, topics: ReadonlyMap<string, TopicInfo>) {
    this.id = id
    this.#topics = topics
  }

  join(request: RequestOf<typeof groupJoin>): Omit<ReplyOf<typeof groupJoin>, 'sessionMs'> {
    const { topics, member: name } = request
    const same = [...this.members.values()].find((each) => name !== undefined && each.name === name)
    if (same !== undefined) throw new MqError('member_in_use', `member ${name} lives`)
    const memberId = `m${this.#nextMember}`
    this.#nextMember += 1
    this.members.set(memberId, { id: memberId, name, topics, version: 1, grants: [], revoking: [] })
    const infos = topics.map((topic) => {
      const info = this.#topics.get(topic)
      if (info === undefined) throw new MqError('topic_not_found', `no topic ${topic}`)
      return info
    })
    this.balance()
    const unstarted = infos.filter(({ id }) => !this.#started.has(id))
    const named = unstarted.map(({ name: topic, id }) => ({ name: topic, topicId: id }))
    return { groupId: groupId(this.id), memberId, unstarted: named }
  }

  start(topic: number, offsets: readonly number[]): void {
    if (this.#started.has(topic)) return
    this.#started.add(topic)
    for (const [partition, at] of offsets.entries()) {
      this.progress.set(keyOf(topic, partition), at)
    }
    this.balance()
  }

  session(memberId: string, version: number): ReplyOf<typeof groupSession> | undefined {
    const member = this.#member(memberId)
    if (member.version === version) return undefined
    const { grants, revoking } = member
    const paused = [...this.#topics.values()]
      .map(({ id }) => id)
      .filter((id) => this.paused.has(id))
    return { version: member.version, assignment: { grants, revoking, paused } }
  }

  release(memberId: string, released: readonly HeldGrant[]): void {
    const member = this.#member(memberId)
    this.#act('release', memberId, released)
    member.revoking = member.revoking.filter((held) => !released.some((each) => same(each, held)))
    member.version += 1
    this.balance()
  }

  leave(memberId: string): void {
    this.#act('leave', memberId, [])
    this.expire(memberId)
  }

  /** Its session is over. */
  expire(memberId: string): void {
    this.members.delete(memberId)
    this.balance()
  }

  commit({ memberId, partitions }: RequestOf<typeof commit>): ReplyOf<typeof commit> {
    const member = this.#member(memberId)
    const refused: { -readonly [K in keyof Refused]: Refused[K] }[] = []
    const taken: RequestOf<typeof commit>['partitions'][number][] = []
    for (const entry of partitions) {
      const { topicId, partition } = entry
      const key = keyOf(topicId, partition)
      const before = this.progress.get(key) ?? 0
      const isHeld = [...member.grants, ...member.revoking].some((held) => same(held, entry))
      const told = { topicId, partition, offset: offset(before) }
      if (!isHeld) {
        const what = `it is not held by ${memberId}`
        refused.push({ ...told, error: errorNumber('grant_fenced'), what })
      } else if (entry.offset < before) {
        const what = `${before} is committed`
        refused.push({ ...told, error: errorNumber('offset_below_progress'), what })
      } else {
        this.progress.set(key, entry.offset)
        taken.push(entry)
      }
    }
    this.#act('commit', memberId, taken)
    return { refused }
  }

  /** As a coordinator that took over and knows nothing of it: what a member released it holds again. */
  takeOver(memberId: string, held: Grant): void {
    const member = this.#member(memberId)
    for (const other of this.members.values()) {
      if (other !== member) this.members.delete(other.id)
    }
    member.grants = [...member.grants.filter((each) => each.partition !== held.partition), held]
    member.version += 1
    this.changed()
  }

  /** Sets progress; its holder goes on there. */
  reset(topic: number, partition: number, to: number): void {
    this.progress.set(keyOf(topic, partition), to)
    for (const member of this.members.values()) {
      const held = member.grants.find(
        (each) => each.topicId === topic && each.partition === partition,
      )
      if (held === undefined) continue
      member.grants = member.grants.filter((each) => each !== held)
      this.#grant(member, topic, partition)
    }
    this.changed()
  }

  pause(topic: number, isPaused: boolean): void {
    if (isPaused) this.paused.add(topic)
    else this.paused.delete(topic)
    for (const member of this.members.values()) member.version += 1
    this.changed()
  }

  balance(): void {
    const members = [...this.members.values()]
    for (const info of this.#topics.values()) {
      if (!this.#started.has(info.id)) continue
      for (const partition of info.sets.keys()) {
        const wanted = members[partition % members.length]
        const owner = members.find(({ grants, revoking }) =>
          [...grants, ...revoking].some(
            (held) => held.topicId === info.id && held.partition === partition,
          ),
        )
        if (owner === wanted) continue
        if (owner !== undefined) this.#revoke(owner, info.id, partition)
        else if (wanted !== undefined) this.#grant(wanted, info.id, partition)
      }
    }
    this.changed()
  }

  #revoke(owner: FakeMember, topic: number, partition: number): void {
    const held = owner.grants.find((each) => each.topicId === topic && each.partition === partition)
    if (held === undefined) return
    owner.grants = owner.grants.filter((each) => each !== held)
    const { topicId, epoch: of } = held
    owner.revoking = [...owner.revoking, { topicId, partition: held.partition, epoch: of }]
    owner.version += 1
  }

  #grant(member: FakeMember, topic: number, partition: number): void {
    const info = [...this.#topics.values()].find(({ id }) => id === topic)
    if (info === undefined) return
    this.#epoch += 1
    const at = this.progress.get(keyOf(topic, partition)) ?? 0
    const place = { topicId: info.id, partition: partitionNumber(partition) }
    member.grants = [...member.grants, { ...place, epoch: epoch(this.#epoch), offset: offset(at) }]
    member.version += 1
  }

  #member(id: string): FakeMember {
    const member = this.members.get(id)
    if (member === undefined) throw new MqError('member_unknown', `no member ${id}`)
    return member
  }

  #act(
    what: GroupAct['what'],
    member: string,
    partitions: readonly { readonly partition: number; readonly offset?: number }[],
  ): void {
    this.acts.push({
      what,
      member,
      partitions: partitions.map(({ partition, offset: at }) => {
        return at === undefined ? { partition } : { partition, offset: at }
      }),
    })
  }
}

type Refused = ReplyOf<typeof commit>['refused'][number]

function keyOf(topic: number, partition: number): number {
  return partitionKey(topic as TopicInfo['id'], partitionNumber(partition))
}

function same(a: HeldGrant, b: HeldGrant): boolean {
  return a.topicId === b.topicId && a.partition === b.partition && a.epoch === b.epoch
}
