import { deferred } from '@popmq/kit'
import {
  type GroupId,
  isHeldNumber,
  type PartitionKey,
  partitionOfKey,
  type ServedGroup,
  type ServedTopic,
  tagHash,
  type TimeMs,
  type TopicId,
  topicOfKey,
} from '@popmq/protocol'
import type { ConsumeQueues } from '../consume-queue/index.ts'
import type { Delivery } from './delivery.ts'
import { InFlight } from './in-flight.ts'
import { PartitionDispatch } from './partition-dispatch.ts'
import type { LeasePlace, Room } from './pick.ts'
import { PopWaiters } from './pop-waiters.ts'
import { RetryDispatch } from './retry-dispatch.ts'

export interface GroupDispatchParts {
  readonly delivery: Delivery
  readonly queues: Pick<ConsumeQueues, 'bounds' | 'sliceNow' | 'kept'>
}

/** What may be taken: the topics, and whether only what is tried again. */
export interface Wanted {
  readonly topics: ReadonlySet<TopicId>
  readonly retriesOnly: boolean
}

/** Entries that must be loaded before a pop can go on. */
export interface Missing {
  readonly key: PartitionKey
  readonly from: number
}

/**
 * What the leader hands out to one group, over all partitions that are led here: due retries first, up to half of what is
 * asked for while there is something else, then the partitions in turn.
 */
export class GroupDispatch {
  readonly inFlight = new InFlight()
  readonly waiters = new PopWaiters()
  readonly retries: RetryDispatch
  readonly #parts: GroupDispatchParts
  readonly #partitions = new Map<PartitionKey, PartitionDispatch>()
  /** Partitions in which there may be something, in the order of their turns. */
  readonly #ready = new Set<PartitionKey>()
  /** Partitions in which a filter has passed messages by that no record tells of. */
  readonly #passed = new Set<PartitionDispatch>()
  readonly #topics = new Map<TopicId, ServedTopic>()
  /** Topics that have no partition here, or no more: the list of groups may still name them. */
  readonly #gone = new Set<TopicId>()
  readonly #resets = new Map<PartitionKey, Promise<void>>()
  readonly #tagHashes = new Map<TopicId, ReadonlySet<number>>()
  #group: ServedGroup
  /** How many replica sets hold its topics. */
  sets = 1

  constructor(group: ServedGroup, parts: GroupDispatchParts) {
    this.#parts = parts
    this.#group = group
    this.update(group)
    this.retries = new RetryDispatch({
      groupId: group.groupId,
      retries: parts.delivery.retries,
      generation: (key) => parts.delivery.find(group.groupId, key)?.generation ?? 0,
      count: (consumer, by) => this.inFlight.count(consumer, by),
      isResetting: (key) => this.isResetting(key),
    })
  }

  get id(): GroupId {
    return this.#group.groupId
  }
  get group(): ServedGroup {
    return this.#group
  }

  /** Takes the group as the coordinator told it last. */
  update(group: ServedGroup): void {
    this.#group = group
    this.#topics.clear()
    this.#tagHashes.clear()
    for (const topic of group.topics) {
      this.#topics.set(topic.topicId, topic)
      if (topic.tags !== undefined)
        this.#tagHashes.set(topic.topicId, new Set(topic.tags.map(tagHash)))
    }
  }

  topic(id: TopicId): ServedTopic | undefined {
    return this.#topics.get(id)
  }

  /** How much more the consumer may have in hand. */
  roomOf(consumer: string): ReturnType<InFlight['room']> {
    return this.inFlight.room(consumer, { policy: this.#group.policy, sets: this.sets })
  }

  /** The partition of a popped topic. */
  partition(key: PartitionKey): PartitionDispatch {
    const there = this.#partitions.get(key)
    if (there !== undefined) return there
    const { delivery, queues } = this.#parts
    const made = new PartitionDispatch({
      key,
      queues,
      view: () => delivery.find(this.id, key),
      start: this.#topics.get(topicOfKey(key))?.starts?.[partitionOfKey(key)],
      count: (consumer, by) => this.inFlight.count(consumer, by),
    })
    this.#partitions.set(key, made)
    return made
  }

  /** The partition, if the group reads its topic. */
  known(key: PartitionKey): PartitionDispatch | undefined {
    const topic = topicOfKey(key)
    return this.#topics.has(topic) && !this.#gone.has(topic) ? this.partition(key) : undefined
  }

  /** Whether a reset is in flight: nobody knows which handles it ends. */
  get hasResets(): boolean {
    return this.#resets.size > 0
  }

  /** Resolves when none is in flight. */
  async whenReset(): Promise<void> {
    while (this.hasResets) await Promise.all(this.#resets.values())
  }

  /** Resolves when the reset of a partition is over; undefined when none is in flight. */
  resetOver(key: PartitionKey): Promise<void> | undefined {
    return this.#resets.get(key)
  }

  /** A reset of the partition begins. @returns to be called when it is over */
  beginReset(key: PartitionKey): () => void {
    const over = deferred()
    this.#resets.set(key, over.promise)
    return () => {
      this.#resets.delete(key)
      over.resolve()
    }
  }

  /** Whether the record of a reset is on its way. */
  isResetting(key: PartitionKey): boolean {
    return this.#partitions.get(key)?.isResetting ?? false
  }

  /** The partitions of which something was handed out or settled here. */
  partitions(): Iterable<PartitionDispatch> {
    return this.#partitions.values()
  }

  /** The topic is gone: nothing of it is handed out any more. */
  dropTopic(id: TopicId): void {
    if (this.#gone.has(id)) return
    const dropped = [...this.#partitions.keys()].filter((key) => topicOfKey(key) === id)
    this.#gone.add(id)
    for (const key of dropped) {
      this.partition(key).book.abandon(() => true)
      this.#partitions.delete(key)
      this.#ready.delete(key)
    }
    const { retries } = this.#parts.delivery
    this.retries.book.abandon((number) => {
      const retry = retries.get(number)
      return retry === undefined || this.isGone(retry.key)
    })
    this.#recount()
  }

  /** The topics that it reads, and those that it has messages of. */
  topicsInHand(): Set<TopicId> {
    const topics = new Set(this.#topics.keys())
    for (const key of this.#partitions.keys()) topics.add(topicOfKey(key))
    for (const { key } of this.retries.all()) topics.add(topicOfKey(key))
    return topics
  }

  /** The topic has partitions here. */
  keepTopic(id: TopicId): void {
    this.#gone.delete(id)
  }

  /** Whether its leases mean nothing any more. */
  isGone(key: PartitionKey): boolean {
    return this.#gone.has(topicOfKey(key))
  }

  /** Something of the partition may be handed out now. */
  ready(key: PartitionKey): void {
    this.#ready.add(key)
    this.waiters.wakeOne(topicOfKey(key), false)
  }

  /** A message can be handed out again. */
  returned({ key }: LeasePlace, number: number): void {
    if (isHeldNumber(number)) this.waiters.wakeOne(topicOfKey(key), true)
    else this.ready(key)
  }

  /** Something was moved, or was not: there is room where a limit held pops up, or it can be handed out again. */
  settled({ key }: LeasePlace): void {
    if (this.#partitions.get(key)?.isReady === true) this.#ready.add(key)
    this.passOn()
  }

  /** There still is something: nobody is woken for it. */
  stillReady(key: PartitionKey): void {
    this.#ready.add(key)
  }

  /** The partitions whose next record has to tell what a filter passed by. */
  passed(): PartitionDispatch[] {
    for (const partition of this.#passed) if (!partition.hasPassed) this.#passed.delete(partition)
    return [...this.#passed]
  }

  /** The time of a retry has come. */
  retryDue(number: number, nowMs: TimeMs): void {
    const topic = this.retries.due(number, nowMs)
    if (topic !== undefined) this.waiters.wakeOne(topic, true)
  }

  /** Whether a pop would find something: a filter may still pass it by. */
  isReady({ topics, retriesOnly }: Wanted): boolean {
    const served = this.#served(topics)
    if (this.retries.isReady(served)) return true
    if (retriesOnly) return false
    for (const key of this.#ready)
      if (served.has(topicOfKey(key)) && this.partition(key).isReady) return true
    return false
  }

  /** Wakes the next who waits, for whoever was woken before did not take all. */
  passOn(): void {
    if (this.waiters.size === 0) return
    for (const topic of this.#topics.keys()) {
      const topics = new Set([topic])
      if (this.isReady({ topics, retriesOnly: true })) this.waiters.wakeOne(topic, true)
      else if (this.isReady({ topics, retriesOnly: false })) this.waiters.wakeOne(topic, false)
    }
  }

  /** Takes what can be handed out now. @returns what must be loaded before it can go on */
  pick(room: Room, { topics, retriesOnly }: Wanted): Missing | undefined {
    const served = this.#served(topics)
    const share = retriesOnly ? room.left : Math.ceil(room.left / 2)
    this.retries.pick(room, served, share)
    if (retriesOnly) return undefined
    const missing = this.#pickReady(room, served)
    if (missing === undefined) this.retries.pick(room, served, room.left)
    return missing
  }

  #pickReady(room: Room, served: ReadonlySet<TopicId>): Missing | undefined {
    let turns = this.#ready.size
    for (const key of this.#ready) {
      if (turns === 0 || room.isFull) return undefined
      turns -= 1
      const topic = topicOfKey(key)
      if (!served.has(topic) || this.#topics.get(topic)?.mode !== 'pop') continue
      const partition = this.partition(key)
      const wants = this.#tagHashes.get(topic)
      const from = partition.pick(room, wants)
      if (wants !== undefined && partition.hasPassed) this.#passed.add(partition)
      if (from !== undefined) return { key, from }
      // To the end of the queue while it has more, be it that something must be settled before.
      this.#ready.delete(key)
      if (partition.isReady || partition.isResetting || partition.hasFresh) this.#ready.add(key)
    }
    return undefined
  }

  #recount(): void {
    this.inFlight.clear()
    for (const { book } of this.#partitions.values())
      for (const [, { consumer }] of book.held()) this.inFlight.count(consumer, 1)
    for (const [number, { consumer }] of this.retries.book.held()) {
      if (this.#parts.delivery.retries.get(number) !== undefined) this.inFlight.count(consumer, 1)
    }
  }

  /** Those of which something may be handed out: they are here, and not paused. */
  #served(topics: ReadonlySet<TopicId>): ReadonlySet<TopicId> {
    const isServed = (id: TopicId): boolean => {
      const topic = this.#topics.get(id)
      return topic?.isPaused === false && topic.mode !== 'broadcast' && !this.#gone.has(id)
    }
    return new Set([...topics].filter(isServed))
  }
}
