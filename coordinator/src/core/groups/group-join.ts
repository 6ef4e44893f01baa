import {
  type groupJoin,
  type GroupId,
  isName,
  limits,
  MqError,
  quoted,
  type ReplyOf,
  type RequestOf,
  type TopicInfo,
} from '@popmq/protocol'
import { defaultGroupPolicy } from './group-policy.ts'
import type { Group } from './group.ts'
import { type RecordChange, makeGroup, setRecord } from './group-record.ts'
import type { TopicReading } from './group-values.ts'
import type { Groups } from './groups.ts'
import { Member } from './members.ts'

/** Who joins, from where. */
export interface JoinContact {
  readonly connection: number
  readonly remote: string
}

/**
 * Takes a member into a group, made if it is new. Nothing is written when the group reads these topics in this way
 * already; what the member gets is planned afterwards.
 * @throws MqError `invalid_name`, `invalid_request`, `topic_not_found`, `subscription_conflict`, `member_in_use`,
 * `group_too_large`, and those of a registry write
 */
export async function joinGroup(
  groups: Groups,
  request: RequestOf<typeof groupJoin>,
  contact: JoinContact,
): Promise<ReplyOf<typeof groupJoin>> {
  const group = groups.namedOrNew(request.group)
  const topics = topicsAsked(groups, request)
  checkMember(request)
  if (group !== undefined && !group.isDeleting) {
    checkJoin(groups, group, { request, topics })
    if (topicsAfter(group, request, topics) === group.record.topics)
      return replyTo(group, enter(groups, group, { request, topics, contact }))
  }
  let reply: ReplyOf<typeof groupJoin> | undefined
  await groups.leadership.write(
    () => prepareJoin(groups, request),
    (change) => {
      const joined = change.applied()
      reply = replyTo(joined, enter(groups, joined, { request, topics: change.topics, contact }))
    },
  )
  if (reply === undefined) throw new MqError('internal', 'a join that was written has a member')
  return reply
}

type JoinRequest = RequestOf<typeof groupJoin>

interface Joining {
  readonly request: JoinRequest
  readonly topics: readonly TopicInfo[]
}

function prepareJoin(
  groups: Groups,
  request: JoinRequest,
): RecordChange & { readonly topics: readonly TopicInfo[] } {
  const topics = topicsAsked(groups, request)
  const group = groups.namedOrNew(request.group)
  if (group === undefined) {
    checkSize(groups, group, { request, topics })
    const readings = topics.map((topic) => readingAsked(request, topic))
    const policy = defaultGroupPolicy
    return { ...makeGroup(groups, { name: request.group, policy, topics: readings }), topics }
  }
  checkJoin(groups, group, { request, topics })
  const record = { ...group.record, topics: topicsAfter(group, request, topics) }
  return { ...setRecord(group, record), topics }
}

function topicsAsked(groups: Groups, { topics }: JoinRequest): TopicInfo[] {
  if (topics.length === 0) throw new MqError('invalid_request', 'a member reads one topic at least')
  return Array.from(new Set(topics), (name) => {
    const topic = groups.topic(name)
    if (topic === undefined)
      throw new MqError('topic_not_found', `there is no topic ${quoted(name)}`)
    return topic
  })
}

function checkMember({ member }: JoinRequest): void {
  if (member === undefined || isName(member)) return
  throw new MqError('invalid_name', `member name ${quoted(member)} is not allowed`)
}

function checkJoin(groups: Groups, group: Group, { request, topics }: Joining): void {
  for (const topic of topics) {
    const there = group.topic(topic.id)
    if (there === undefined || isSameWay(there, readingAsked(request, topic))) continue
    const other = [...group.members].find(
      ({ topics: read, name }) =>
        read.has(topic.id) && (name === undefined || name !== request.member),
    )
    if (other === undefined) continue
    throw conflict(group, there, other)
  }
  if (request.member !== undefined) group.members.checkName(request.member, groups.nowMs)
  checkSize(groups, group, { request, topics })
}

function conflict(group: Group, there: TopicReading, other: Member): MqError {
  const tags = there.tags === undefined ? 'all tags' : `tags ${there.tags.join(', ')}`
  const who = quoted(other.name ?? other.client ?? other.id)
  return new MqError(
    'subscription_conflict',
    `group ${quoted(group.record.name)} reads topic ${quoted(there.name)} in mode ${there.mode} with ${tags}, member ${who} does`,
  )
}

/** What one assignment, the group's own node, and the one with its members can hold. */
function checkSize(groups: Groups, group: Group | undefined, joining: Joining): void {
  const asked = joining.topics.filter(({ id }) => group?.topic(id) === undefined)
  const there = group?.record.topics ?? []
  let partitions = 0
  for (const { name } of there) partitions += groups.topic(name)?.sets.length ?? 0
  for (const { sets } of asked) partitions += sets.length
  const topics = there.length + asked.length
  const name = quoted(joining.request.group)
  if (topics > mostTopics || partitions > limits.partitionsPerGroup) {
    throw new MqError(
      'group_too_large',
      `group ${name} would read ${partitions} partitions of ${topics} topics, at most ${limits.partitionsPerGroup} of ${mostTopics} are possible`,
    )
  }
  if (group !== undefined && group.members.bytes > mostMemberBytes)
    throw new MqError(
      'group_too_large',
      `group ${name} has ${group.members.size} members: no more fit`,
    )
}

/** The group's topics once the member reads its own; the very same list when nothing changes. */
function topicsAfter(
  group: Group,
  request: JoinRequest,
  topics: readonly TopicInfo[],
): readonly TopicReading[] {
  const asked = new Map(topics.map((topic) => [topic.id, readingAsked(request, topic)]))
  const changed = group.record.topics.map((there) => {
    const wanted = asked.get(there.topicId)
    asked.delete(there.topicId)
    if (wanted === undefined || isSameWay(there, wanted)) return there
    return { ...wanted, isPaused: there.isPaused }
  })
  const isSame = asked.size === 0 && changed.every((topic, at) => topic === group.record.topics[at])
  return isSame ? group.record.topics : [...changed, ...asked.values()]
}

function readingAsked({ mode, tags }: JoinRequest, { name, id }: TopicInfo): TopicReading {
  const sorted = tags === undefined ? {} : { tags: [...new Set(tags)].toSorted() }
  return { name, topicId: id, mode, ...sorted, isPaused: false }
}

function isSameWay(a: TopicReading, b: TopicReading): boolean {
  return a.mode === b.mode && JSON.stringify(a.tags) === JSON.stringify(b.tags)
}

/** The member is in the group, in memory; the plan that follows writes it down. */
function enter(
  groups: Groups,
  group: Group,
  { request, topics, contact }: Joining & { readonly contact: JoinContact },
): Member {
  const { nowMs } = groups
  const before = request.member === undefined ? undefined : group.members.named(request.member)
  const member = new Member(groups.clock, {
    index: group.members.nextIndex(),
    id: newMemberId(groups),
    member: request.member,
    client: request.client,
    mode: request.mode,
    drainMs: request.drainMs,
    joinedAt: before?.joinedAt ?? groups.clock.now(),
    topics: topics.map(({ id }) => id),
    state: 'live',
    endsMs: nowMs + group.policy.sessionMs,
  })
  member.remote = contact.remote
  if (before !== undefined) groups.gone(before)
  group.join(member, nowMs)
  groups.contact(member, contact.connection)
  for (const { id, sets } of topics) group.readingFor(member, id, sets.length)
  groups.work(group)
  return member
}

function replyTo(group: Group, member: Member): ReplyOf<typeof groupJoin> {
  const unstarted = [...member.topics].flatMap((topicId) => {
    const topic = group.topic(topicId)
    const isStarted = group.readingOf(member, topicId)?.progress.isStarted === true
    return topic === undefined || isStarted ? [] : [{ name: topic.name, topicId }]
  })
  const groupId: GroupId = group.id
  return { groupId, memberId: member.id, sessionMs: group.policy.sessionMs, unstarted }
}

function newMemberId({ random }: Pick<Groups, 'random'>): string {
  const bytes = random.fill(new Uint8Array(12))
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}

const mostTopics = 1_000
const mostMemberBytes = 220 * 1_024
