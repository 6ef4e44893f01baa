import { partitionNumber, type ServedGroup, type ServedTopic } from '@popmq/protocol'
import type { Group } from './group.ts'
import type { TopicReading } from './group-values.ts'

/** Since when brokers have to hear of groups anew. Versions are those of the topics: one count for all that brokers are told. */
export class ServedGroups {
  /** Resolves once every broker with a session has applied what is told under this version, or a later one. */
  readonly reached: (version: number) => Promise<void>
  #changedVersion = 0

  constructor(reached: (version: number) => Promise<void>) {
    this.reached = reached
  }

  /** A group was made, changed or deleted, or all were read from the registry. */
  changed(version: number): void {
    this.#changedVersion = version
  }

  /** Whether the groups are others than at `version`; so they count for each one before this coordinator led. */
  changedSince(version: number): boolean {
    return version < this.#changedVersion
  }
}

/** A group as brokers know it. */
export function servedGroup({ record }: Pick<Group, 'record'>): ServedGroup {
  const { id, name, policy, deadTopicId, topics } = record
  return { groupId: id, name, policy, deadTopicId, topics: topics.map(servedTopic) }
}

function servedTopic({ topicId, mode, tags, isPaused, starts, resets }: TopicReading): ServedTopic {
  return {
    topicId,
    mode,
    ...(tags === undefined ? {} : { tags }),
    isPaused,
    ...(starts === undefined ? {} : { starts }),
    ...(resets === undefined ? {} : { reset: resetOf(resets) }),
  }
}

function resetOf({
  generation,
  offsets,
  generations,
}: NonNullable<TopicReading['resets']>): NonNullable<ServedTopic['reset']> {
  const rows = offsets.map((offset, at) => ({
    partition: partitionNumber(at),
    offset,
    generation: generations[at] ?? 0,
  }))
  return { generation, offsets: rows.filter((row) => row.generation > 0) }
}
