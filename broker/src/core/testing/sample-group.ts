import { type GroupPolicy, groupId, type ServedGroup, topicId } from '@popmq/protocol'

const policy: GroupPolicy = {
  assignor: 'sticky',
  sessionMs: 6_000,
  maxAttempts: 16,
  backoff: '1s',
  invisibleMs: 30_000,
  order: 'none',
  onFailure: 'park',
  deadRetentionMs: 14 * 86_400_000,
  outageBrake: 'on',
  maxInFlight: 0,
  maxInFlightPerConsumer: 0,
}

/** For tests: a group that pops these topics. The id of its dead letters is 900 more than its own. */
export function sampleGroup(
  id: number,
  { topics = [], ...given }: { topics?: readonly number[] } & Partial<GroupPolicy> = {},
): ServedGroup {
  return {
    groupId: groupId(id),
    name: `g${id}`,
    policy: { ...policy, ...given },
    deadTopicId: topicId(900 + id),
    topics: topics.map((topic) => ({ topicId: topicId(topic), mode: 'pop', isPaused: false })),
  }
}
