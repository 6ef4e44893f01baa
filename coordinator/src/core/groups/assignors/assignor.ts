import type { TopicId } from '@popmq/protocol'

/** What an assignor is given. Plain data: a user's own module gets the same, over a thread boundary. */
export interface AssignorInput {
  /** Oldest first. */
  readonly members: readonly AssignorMember[]
  /** The topics to share out, by id. */
  readonly topics: readonly AssignorTopic[]
  /** Who has what now; partitions that nobody has are not listed. */
  readonly held: readonly Placement[]
}

export interface AssignorMember {
  readonly memberId: string
  /** The static name. */
  readonly member?: string
  readonly client?: string
  /** Topics that it reads. */
  readonly topics: readonly TopicId[]
}

export interface AssignorTopic {
  readonly topicId: TopicId
  readonly partitions: number
}

/** One partition and who is to have it. */
export interface Placement {
  readonly topicId: TopicId
  readonly partition: number
  readonly memberId: string
}

/** Gives every partition that somebody reads to one member that reads its topic. The same input, the same result. */
export type Assignor = (input: AssignorInput) => readonly Placement[]

/** The members that read each topic, in the order of `members`. */
export function readersByTopic({
  members,
  topics,
}: Pick<AssignorInput, 'members' | 'topics'>): Map<TopicId, AssignorMember[]> {
  const readers = new Map<TopicId, AssignorMember[]>(topics.map(({ topicId }) => [topicId, []]))
  for (const member of members) {
    for (const topicId of new Set(member.topics)) readers.get(topicId)?.push(member)
  }
  return readers
}
