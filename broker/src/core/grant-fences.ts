import {
  type Epoch,
  type GroupId,
  type PartitionKey,
  type TopicId,
  topicOfKey,
} from '@popmq/protocol'

/** A read for a group, under the grant that the reader holds or held. */
export interface GrantedRead {
  readonly groupId: GroupId
  readonly key: PartitionKey
  readonly epoch: Epoch
}

export interface GrantFencesOptions {
  /** @defaultValue 1_000_000 */
  readonly mostEntries?: number
}

/**
 * The newest grant epoch that fetches have shown, by group and partition: a fetch under an older one is refused. It is
 * learned from fetches alone, and lost with the process (docs/decisions/0009-fences-learned-from-fetches.md).
 *
 * An entry costs about 50 bytes; whoever speaks the protocol can name any group, so there are at most a million: 1,000
 * groups that read 1,000 partitions of this broker. Beyond that the groups not heard of for the longest time are
 * forgotten whole. What is forgotten lets an old member read until the new one fetches again; its commits stay refused.
 */
export class GrantFences {
  readonly #mostEntries: number
  /** In the order in which they were last heard of. */
  readonly #groups = new Map<GroupId, Map<PartitionKey, Epoch>>()
  #size = 0

  constructor({ mostEntries = 1_000_000 }: GrantFencesOptions = {}) {
    this.#mostEntries = mostEntries
  }

  /** How many are remembered. */
  get size(): number {
    return this.#size
  }

  /** Notes that there is such a grant. @returns whether it is newer than what was known: older ones are fenced now */
  see({ groupId, key, epoch }: GrantedRead): boolean {
    const epochs = this.#heard(groupId)
    const newest = epochs.get(key)
    if (newest !== undefined && newest >= epoch) return false
    epochs.set(key, epoch)
    if (newest === undefined) this.#size += 1
    this.#forgetOldest(groupId)
    return newest !== undefined
  }

  isFenced({ groupId, key, epoch }: GrantedRead): boolean {
    return epoch < (this.#groups.get(groupId)?.get(key) ?? 0)
  }

  /** The topic was deleted: nothing of it is read any more. */
  forgetTopic(topic: TopicId): void {
    for (const [groupId, epochs] of this.#groups) {
      for (const key of epochs.keys()) {
        if (topicOfKey(key) !== topic) continue
        epochs.delete(key)
        this.#size -= 1
      }
      if (epochs.size === 0) this.#groups.delete(groupId)
    }
  }

  #heard(groupId: GroupId): Map<PartitionKey, Epoch> {
    const epochs = this.#groups.get(groupId) ?? new Map<PartitionKey, Epoch>()
    this.#groups.delete(groupId)
    this.#groups.set(groupId, epochs)
    return epochs
  }

  /** One group alone may name more partitions than there is room for: then what it named first goes. */
  #forgetOldest(heard: GroupId): void {
    while (this.#size > this.#mostEntries) {
      for (const [groupId, epochs] of this.#groups) {
        if (groupId === heard) this.#forgetFirst(epochs)
        else this.#forgetGroup(groupId, epochs)
        break
      }
    }
  }

  #forgetGroup(groupId: GroupId, epochs: Map<PartitionKey, Epoch>): void {
    this.#groups.delete(groupId)
    this.#size -= epochs.size
  }

  #forgetFirst(epochs: Map<PartitionKey, Epoch>): void {
    for (const key of epochs.keys()) {
      epochs.delete(key)
      this.#size -= 1
      return
    }
  }
}
