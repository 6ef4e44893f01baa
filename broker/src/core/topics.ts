import { assert } from '@popmq/kit'
import {
  type GroupId,
  limits,
  type PartitionNumber,
  partitionKey,
  type PartitionKey,
  partitionNumber,
  type ServedGroup,
  type ServedTopic,
  type TopicId,
  type TopicInfo,
} from '@popmq/protocol'

/** A group that reads a topic, and how it does. */
export interface TopicReader {
  readonly group: ServedGroup
  readonly topic: ServedTopic
}

const nobody: readonly TopicReader[] = Object.freeze([])

/**
 * The topics that have partitions on this broker's replica set, and the groups of the cluster, as the coordinator told
 * them last.
 *
 * The dead letters of a group are a topic of this set, too: of each group one partition lies here, whose number is that of
 * the set. No user can name such a topic: only `ledDead` leads to it, and `all`, `get` and `ledKeys`, so that it is kept
 * and lets go by age as any other.
 */
export class Topics {
  readonly #setId: number
  #users = new Map<TopicId, TopicInfo>()
  #groups = new Map<GroupId, ServedGroup>()
  /** By the id of the topic. */
  #dead = new Map<TopicId, TopicInfo>()
  #readers = new Map<TopicId, TopicReader[]>()

  constructor(
    setId: number,
    topics: readonly TopicInfo[] = [],
    groups: readonly ServedGroup[] = [],
  ) {
    this.#setId = setId
    this.update(topics, groups)
  }

  /** Takes the whole lists anew. Without `groups` these stay as they are. */
  update(topics: readonly TopicInfo[], groups?: readonly ServedGroup[]): void {
    this.#users = new Map(topics.map((topic) => [topic.id, topic]))
    if (groups !== undefined) this.#updateGroups(groups)
  }

  /** Users' topics, then those of dead letters. */
  get all(): Iterable<TopicInfo> {
    return [...this.#users.values(), ...this.#dead.values()]
  }

  /** Without those of dead letters. */
  get users(): Iterable<TopicInfo> {
    return this.#users.values()
  }

  /** Users' topics and those of dead letters. */
  get(id: TopicId): TopicInfo | undefined {
    return this.#users.get(id) ?? this.#dead.get(id)
  }

  /** The user's topic, when this set leads the partition. */
  led(id: TopicId, partition: PartitionNumber): TopicInfo | undefined {
    const topic = this.#users.get(id)
    return topic?.sets[partition] === this.#setId ? topic : undefined
  }

  /** The partitions of a topic that this set leads. */
  ledKeys(topic: TopicInfo): PartitionKey[] {
    return topic.sets.flatMap((set, index) =>
      set === this.#setId ? [partitionKey(topic.id, partitionNumber(index))] : [],
    )
  }

  /** Where this set puts the dead letters of a group: they come there by the broker alone. */
  ledDead(id: GroupId): { readonly topic: TopicInfo; readonly key: PartitionKey } | undefined {
    const group = this.#groups.get(id)
    const topic = group === undefined ? undefined : this.#dead.get(group.deadTopicId)
    if (topic === undefined) return undefined
    return { topic, key: partitionKey(topic.id, partitionNumber(this.#setId)) }
  }

  /** How long a dedup id of this topic is remembered, in ms; 0 for a topic that is gone. */
  dedupWindowMs(id: TopicId): number {
    return this.get(id)?.policy.dedupWindowMs ?? 0
  }

  get groups(): Iterable<ServedGroup> {
    return this.#groups.values()
  }

  group(id: GroupId): ServedGroup | undefined {
    return this.#groups.get(id)
  }

  /** The groups that read a topic, in whatever way. */
  readersOf(id: TopicId): readonly TopicReader[] {
    return this.#readers.get(id) ?? nobody
  }

  #updateGroups(groups: readonly ServedGroup[]): void {
    const sets = setsOfDead(this.#setId)
    this.#groups = new Map(groups.map((group) => [group.groupId, group]))
    this.#dead = new Map(groups.map((group) => [group.deadTopicId, deadTopic(group, sets)]))
    this.#readers = new Map()
    for (const group of groups) {
      for (const topic of group.topics) {
        const readers = this.#readers.get(topic.topicId)
        if (readers === undefined) this.#readers.set(topic.topicId, [{ group, topic }])
        else readers.push({ group, topic })
      }
    }
  }
}

/** Partition n is on replica set n; of the sets behind this one nothing need be known here. */
function setsOfDead(setId: number): readonly number[] {
  assert(setId < limits.partitionsPerTopic, 'the number of a replica set is that of a partition')
  return Array.from({ length: setId + 1 }, (_, set) => set)
}

function deadTopic({ name, deadTopicId, policy }: ServedGroup, sets: readonly number[]): TopicInfo {
  return {
    name: `_dead.${name}`,
    id: deadTopicId,
    sets,
    policy: {
      retentionMs: policy.deadRetentionMs,
      maxBytes: 0,
      maxMessageBytes: limits.mostMessageBytes,
      dedupWindowMs: 0,
      replicas: 1,
    },
    createdAt: 0,
  }
}
