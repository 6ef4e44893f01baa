import type { BrokerInfo, metadata, ReplyOf, SetInfo, TopicInfo } from '@popmq/protocol'

export type Metadata = ReplyOf<typeof metadata>

/** The broker that leads a partition. */
export interface Leader {
  readonly brokerId: number
  /** host:port */
  readonly address: string
}

/**
 * What is known of topics and of the brokers that lead their partitions. A coordinator may answer late or from the past:
 * a topic id, and the epoch of a replica set, never go back here.
 */
export class RouteTable {
  readonly #topics = new Map<string, TopicInfo>()
  readonly #sets = new Map<number, SetInfo>()
  #brokers: readonly BrokerInfo[] = []

  get brokers(): readonly BrokerInfo[] {
    return this.#brokers
  }

  /** @returns undefined while it is not known, and when it does not exist */
  topic(name: string): TopicInfo | undefined {
    return this.#topics.get(name)
  }

  /** The topic with this id, if it is known. */
  topicOf(id: number): TopicInfo | undefined {
    for (const topic of this.#topics.values()) if (topic.id === id) return topic
    return undefined
  }

  /** @returns undefined while none leads, and for a partition that the topic does not have */
  leader(topic: TopicInfo, partition: number): Leader | undefined {
    const set = this.#sets.get(topic.sets[partition] ?? 0)
    if (set === undefined || set.leader === 0 || set.address === '') return undefined
    return { brokerId: set.leader, address: set.address }
  }

  /** The replica set that holds a partition. */
  setOf(topic: TopicInfo, partition: number): SetInfo | undefined {
    return this.#sets.get(topic.sets[partition] ?? 0)
  }

  /**
   * Takes in the answer to a question about `asked` (undefined: all topics).
   * @returns the names of topics that were known and are gone, or are other incarnations now
   */
  apply(answer: Metadata, asked: readonly string[] | undefined): string[] {
    const gone: string[] = []
    const present = new Map(answer.topics.map((topic) => [topic.name, topic]))
    for (const name of asked ?? [...this.#topics.keys()]) {
      if (this.#topics.has(name) && !present.has(name)) {
        this.#topics.delete(name)
        gone.push(name)
      }
    }
    for (const topic of answer.topics) {
      const known = this.#topics.get(topic.name)
      if (known !== undefined && known.id > topic.id) continue
      if (known !== undefined && known.id < topic.id) gone.push(topic.name)
      const isOlder = known?.id === topic.id && known.sets.length > topic.sets.length
      if (!isOlder) this.#topics.set(topic.name, topic)
    }
    for (const set of answer.sets) {
      const known = this.#sets.get(set.id)
      if (known === undefined || known.epoch <= set.epoch) this.#sets.set(set.id, set)
    }
    this.#brokers = answer.brokers
    return gone
  }
}
