import {
  type PartitionNumber,
  partitionKey,
  type PartitionKey,
  partitionNumber,
  type TopicId,
  type TopicInfo,
} from '@popmq/protocol'

/** The topics that have partitions on this broker's replica set, as the coordinator told them last. */
export class Topics {
  readonly #setId: number
  #byId = new Map<TopicId, TopicInfo>()

  constructor(setId: number, topics: readonly TopicInfo[] = []) {
    this.#setId = setId
    this.update(topics)
  }

  /** Takes the whole list anew. */
  update(topics: readonly TopicInfo[]): void {
    this.#byId = new Map(topics.map((topic) => [topic.id, topic]))
  }

  get all(): Iterable<TopicInfo> {
    return this.#byId.values()
  }

  get(id: TopicId): TopicInfo | undefined {
    return this.#byId.get(id)
  }

  /** The topic, when this set leads the partition. */
  led(id: TopicId, partition: PartitionNumber): TopicInfo | undefined {
    const topic = this.#byId.get(id)
    return topic?.sets[partition] === this.#setId ? topic : undefined
  }

  /** The partitions of a topic that this set leads. */
  ledKeys(topic: TopicInfo): PartitionKey[] {
    return topic.sets.flatMap((set, index) =>
      set === this.#setId ? [partitionKey(topic.id, partitionNumber(index))] : [],
    )
  }

  /** How long a dedup id of this topic is remembered, in ms; 0 for a topic that is gone. */
  dedupWindowMs(id: TopicId): number {
    return this.#byId.get(id)?.policy.dedupWindowMs ?? 0
  }
}
