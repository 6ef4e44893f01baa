import {
  type groupOpen,
  MqError,
  type ReplyOf,
  type RequestOf,
  type TopicInfo,
} from '@popmq/protocol'
import type { Group } from './group.ts'
import { defaultGroupPolicy } from './group-policy.ts'
import { makeGroup, type RecordChange, setTopics } from './group-record.ts'
import type { TopicReading } from './group-values.ts'
import type { Groups } from './groups.ts'
import { checkSize, conflict, isSameWay, readingAsked, topicsAsked } from './subscription.ts'

type OpenRequest = RequestOf<typeof groupOpen>

/**
 * Takes topics into a group that pops them; makes it if it is new. Resolves when every broker with a session knows it so,
 * also when nothing was to be written: whoever asks again may have been the first.
 * A topic that the group pulled or broadcast becomes popped only while no member reads it and no progress of it is kept;
 * from then on it stays popped, with these tags, until the group or the topic is deleted.
 * @throws MqError `invalid_name`, `invalid_request`, `topic_not_found`, `subscription_conflict`, `group_too_large`,
 * `timed_out`, and those of a registry write
 */
export async function openGroup(
  groups: Groups,
  request: OpenRequest,
): Promise<ReplyOf<typeof groupOpen>> {
  const group = groups.namedOrNew(request.group)
  const opening = openingOf(groups, request)
  if (group !== undefined && !group.isDeleting && !group.isChanging) {
    const topics = topicsAfter(groups, group, opening)
    if (topics === group.record.topics) {
      await groups.served.reached(group.subscribedVersion)
      return replyTo(group, opening, new Set())
    }
  }
  let opened: { readonly group: Group; readonly before: ReadonlySet<number> } | undefined
  const { version } = await groups.leadership.write(
    () => prepareOpen(groups, request),
    ({ applied, before }) => {
      opened = { group: applied(), before }
    },
  )
  if (opened === undefined) throw new MqError('internal', 'a group that was written is there')
  await groups.served.reached(version)
  const { before } = opened
  const news = opening.asked.map(({ topicId }) => topicId).filter((id) => !before.has(id))
  return replyTo(opened.group, opening, new Set(news))
}

interface Opening {
  readonly request: OpenRequest
  readonly infos: readonly TopicInfo[]
  readonly asked: readonly TopicReading[]
}

function openingOf(groups: Groups, request: OpenRequest): Opening {
  const infos = topicsAsked(groups, request.topics)
  const starts = new Map(request.starts?.map(({ topicId, offsets }) => [topicId, offsets]))
  for (const [topicId, { length }] of starts) {
    const partitions = infos.find(({ id }) => id === topicId)?.sets.length ?? 0
    if (length > partitions)
      throw new MqError(
        'invalid_request',
        `starts name ${length} partitions of topic ${topicId}, asked for are ${partitions}`,
      )
  }
  const asked = infos.map((info): TopicReading => {
    const offsets = starts.get(info.id) ?? []
    const began = offsets.length === 0 ? {} : { starts: offsets }
    return { ...readingAsked({ ...request, mode: 'pop' }, info), ...began }
  })
  return { request, infos, asked }
}

/** `before`: the topics that the group popped before this write. */
function prepareOpen(
  groups: Groups,
  request: OpenRequest,
): RecordChange & { readonly before: ReadonlySet<number> } {
  const { group: name } = request
  const opening = openingOf(groups, request)
  const group = groups.namedOrNew(name)
  if (group === undefined) {
    checkSize(groups, group, { name, topics: opening.infos })
    const made = makeGroup(groups, { name, policy: defaultGroupPolicy, topics: opening.asked })
    return { ...made, before: new Set() }
  }
  const popped = group.record.topics.filter(({ mode }) => mode === 'pop')
  const before = new Set(popped.map(({ topicId }) => topicId))
  return { ...setTopics(groups, group, topicsAfter(groups, group, opening)), before }
}

/**
 * The group's topics once it pops these too; the very same list when nothing changes.
 * @throws MqError `subscription_conflict`, `group_too_large`
 */
function topicsAfter(
  groups: Groups,
  group: Group,
  { request, infos, asked }: Opening,
): readonly TopicReading[] {
  const wanted = new Map(asked.map((reading) => [reading.topicId, reading]))
  const changed = group.record.topics.map((there) => {
    const reading = wanted.get(there.topicId)
    wanted.delete(there.topicId)
    if (reading === undefined || isSameWay(there, reading)) return there
    if (there.mode === 'pop') throw conflict(group, there)
    refuseUsed(group, there)
    return { ...reading, isPaused: there.isPaused }
  })
  checkSize(groups, group, { name: request.group, topics: infos })
  const isSame =
    wanted.size === 0 && changed.every((topic, at) => topic === group.record.topics[at])
  return isSame ? group.record.topics : [...changed, ...wanted.values()]
}

/** What members read, and how far they came, does not go over into leases. */
function refuseUsed(group: Group, there: TopicReading): void {
  const { topicId } = there
  const readers = [...group.members].filter(({ topics }) => topics.has(topicId)).length
  if (readers > 0) throw conflict(group, there, `, ${readers} members do`)
  for (const reading of group.readings.values()) {
    if (reading.topicId === topicId && reading.isKept && reading.progress.isStarted)
      throw conflict(group, there, ', and has progress there')
  }
}

function replyTo(
  { id, policy }: Group,
  { asked }: Opening,
  news: ReadonlySet<number>,
): ReplyOf<typeof groupOpen> {
  const { invisibleMs } = policy
  const topics = asked.map(({ name, topicId }) => ({ name, topicId, isNew: news.has(topicId) }))
  return { groupId: id, invisibleMs, topics }
}
