import { limits, MqError, quoted, type TopicInfo } from '@popmq/protocol'
import type { Group } from './group.ts'
import type { TopicReading } from './group-values.ts'
import type { Groups } from './groups.ts'

/** What members and those who pop have in common: they name a group, and say how it reads which topics. */
export interface Subscription {
  readonly group: string
  readonly mode: TopicReading['mode']
  readonly tags?: readonly string[] | undefined
}

/** @throws MqError `invalid_request`, `topic_not_found` */
export function topicsAsked(groups: Groups, names: readonly string[]): TopicInfo[] {
  if (names.length === 0) throw new MqError('invalid_request', 'a group reads one topic at least')
  return Array.from(new Set(names), (name) => {
    const topic = groups.topic(name)
    if (topic === undefined)
      throw new MqError('topic_not_found', `there is no topic ${quoted(name)}`)
    return topic
  })
}

export function readingAsked(
  { mode, tags }: Subscription,
  { name, id }: Pick<TopicInfo, 'name' | 'id'>,
): TopicReading {
  const sorted = tags === undefined ? {} : { tags: [...new Set(tags)].toSorted() }
  return { name, topicId: id, mode, ...sorted, isPaused: false }
}

export function isSameWay(a: TopicReading, b: TopicReading): boolean {
  return a.mode === b.mode && JSON.stringify(a.tags) === JSON.stringify(b.tags)
}

/** The group reads the topic in another way than is asked for, and somebody or something rests on that. */
export function conflict(group: Group, there: TopicReading, because = ''): MqError {
  const tags = there.tags === undefined ? 'all tags' : `tags ${there.tags.join(', ')}`
  return new MqError(
    'subscription_conflict',
    `group ${quoted(group.record.name)} reads topic ${quoted(there.name)} in mode ${there.mode} with ${tags}${because}`,
  )
}

/** What one assignment, and the group's own node, can hold. @throws MqError `group_too_large` */
export function checkSize(
  groups: Groups,
  group: Group | undefined,
  { name, topics }: { readonly name: string; readonly topics: readonly TopicInfo[] },
): void {
  const asked = topics.filter(({ id }) => group?.topic(id) === undefined)
  const there = group?.record.topics ?? []
  let partitions = 0
  for (const topic of there) partitions += groups.topic(topic.name)?.sets.length ?? 0
  for (const { sets } of asked) partitions += sets.length
  const count = there.length + asked.length
  if (count <= mostTopics && partitions <= limits.partitionsPerGroup) return
  throw new MqError(
    'group_too_large',
    `group ${quoted(name)} would read ${partitions} partitions of ${count} topics, at most ${limits.partitionsPerGroup} of ${mostTopics} are possible`,
  )
}

const mostTopics = 1_000
