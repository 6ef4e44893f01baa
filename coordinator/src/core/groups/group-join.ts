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
import { type RecordChange, makeGroup, setTopics } from './group-record.ts'
import { leaveGroup } from './group-session.ts'
import type { TopicReading } from './group-values.ts'
import type { Groups } from './groups.ts'
import { Member } from './members.ts'
import { checkSize, conflict, isSameWay, readingAsked, topicsAsked } from './subscription.ts'

/** Who joins, from where. */
export interface JoinContact {
  readonly connection: number
  readonly remote: string
}

/**
 * Takes a member into a group, made if it is new. Nothing is written when the group reads these topics in this way
 * already; else the answer waits for every broker with a session to know the group so. What the member gets is planned
 * afterwards.
 * @throws MqError `invalid_name`, `invalid_request`, `topic_not_found`, `subscription_conflict`, `member_in_use`,
 * `group_too_large`, `timed_out`, and those of a registry write
 */
export async function joinGroup(
  groups: Groups,
  request: RequestOf<typeof groupJoin>,
  contact: JoinContact,
): Promise<ReplyOf<typeof groupJoin>> {
  const group = groups.namedOrNew(request.group)
  const topics = topicsAsked(groups, request.topics)
  checkMember(request)
  if (group !== undefined && !group.isDeleting && !group.isChanging) {
    checkJoin(groups, group, { request, topics })
    if (topicsAfter(group, request, topics) === group.record.topics)
      return replyTo(group, enter(groups, group, { request, topics, contact }))
  }
  let entered: { readonly group: Group; readonly member: Member } | undefined
  const { version } = await groups.leadership.write(
    () => prepareJoin(groups, request),
    (change) => {
      const joined = change.applied()
      const member = enter(groups, joined, { request, topics: change.topics, contact })
      entered = { group: joined, member }
    },
  )
  if (entered === undefined) throw new MqError('internal', 'a join that was written has a member')
  await served(groups, { ...entered, version })
  return replyTo(entered.group, entered.member)
}

/** The member waits for the brokers to know its group so; its session begins anew when they do. */
async function served(
  groups: Groups,
  { group, member, version }: { group: Group; member: Member; version: number },
): Promise<void> {
  const { sessionMs } = group.policy
  member.endsMs = groups.nowMs + limits.waitMs + sessionMs
  try {
    await groups.served.reached(version)
  } catch (error) {
    leaveGroup(groups, { groupId: group.id, memberId: member.id })
    throw error
  }
  member.endsMs = groups.nowMs + sessionMs
  groups.arm(group, member.endsMs)
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
  const topics = topicsAsked(groups, request.topics)
  const group = groups.namedOrNew(request.group)
  if (group === undefined) {
    checkSize(groups, group, { name: request.group, topics })
    const readings = topics.map((topic) => readingAsked(request, topic))
    const policy = defaultGroupPolicy
    return { ...makeGroup(groups, { name: request.group, policy, topics: readings }), topics }
  }
  checkJoin(groups, group, { request, topics })
  return { ...setTopics(groups, group, topicsAfter(group, request, topics)), topics }
}

function checkMember({ member }: JoinRequest): void {
  if (member === undefined || isName(member)) return
  throw new MqError('invalid_name', `member name ${quoted(member)} is not allowed`)
}

/** @throws MqError `subscription_conflict`, `member_in_use`, `group_too_large` */
function checkJoin(groups: Groups, group: Group, { request, topics }: Joining): void {
  for (const topic of topics) {
    const there = group.topic(topic.id)
    if (there === undefined || isSameWay(there, readingAsked(request, topic))) continue
    if (there.mode === 'pop') throw conflict(group, there)
    const other = [...group.members].find(
      ({ topics: read, name }) =>
        read.has(topic.id) && (name === undefined || name !== request.member),
    )
    if (other === undefined) continue
    const who = quoted(other.name ?? other.client ?? other.id)
    throw conflict(group, there, `, member ${who} does`)
  }
  if (request.member !== undefined) group.members.checkName(request.member, groups.nowMs)
  checkSize(groups, group, { name: request.group, topics })
  if (group.members.bytes > mostMemberBytes)
    throw new MqError(
      'group_too_large',
      `group ${quoted(request.group)} has ${group.members.size} members: no more fit`,
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

const mostMemberBytes = 220 * 1_024
