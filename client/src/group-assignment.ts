import { assert, type Clock } from '@popmq/kit'
import { isMqError, MqError, quoted, type TopicId, type TopicInfo } from '@popmq/protocol'
import type { TopicPartition } from './api/message.ts'
import type { AssignmentChange } from './core/assignment-change.ts'
import type { HeldPartition } from './core/held-partition.ts'
import type { Membership } from './core/membership.ts'
import type { PartitionReader } from './core/partition-reader.ts'
import { type GroupConsumerConfig, keepsProgress } from './group-consumer-config.ts'
import { startOf } from './pull-consumer-config.ts'
import type { Reading } from './reading.ts'
import type { RouteCache } from './route-cache.ts'

export interface GroupAssignmentDeps {
  readonly clock: Clock
  readonly routes: RouteCache
  readonly membership: Membership
  readonly reading: Reading
  /** The user's callback about these has ended. */
  readonly userDone: (partitions: readonly HeldPartition[]) => void
}

/** The user is finishing revoked partitions. */
interface Drain {
  readonly partitions: Set<HeldPartition>
  readonly over: AbortController
}

/** Keeps readers in step with what the member holds, and tells the user. */
export class GroupAssignment {
  readonly #config: GroupConsumerConfig
  readonly #deps: GroupAssignmentDeps
  readonly #readers = new Map<HeldPartition, PartitionReader>()
  readonly #held = new WeakMap<PartitionReader, HeldPartition>()
  readonly #topics = new Map<TopicId, TopicInfo>()
  readonly #names = new Map<number, string>()
  readonly #drains = new Set<Drain>()

  constructor(config: GroupConsumerConfig, deps: GroupAssignmentDeps) {
    this.#config = config
    this.#deps = deps
  }

  /** The partition that a reader reads. */
  heldBy(reader: PartitionReader): HeldPartition {
    const held = this.#held.get(reader)
    assert(held !== undefined, 'a reader of a group reads a partition that was granted')
    return held
  }

  readerOf(held: HeldPartition): PartitionReader | undefined {
    return this.#readers.get(held)
  }

  /** @returns undefined for a partition that the member does not hold */
  find({ topic, partition }: TopicPartition): HeldPartition | undefined {
    // One that was made again comes after its earlier incarnations.
    const id = [...this.#topics.values()].findLast(({ name }) => name === topic)?.id
    return id === undefined ? undefined : this.#deps.membership.find(id, partition)
  }

  /** The names of its topics by id, as far as they are known: they do not go again. */
  get names(): ReadonlyMap<number, string> {
    return this.#names
  }

  placeOf({ topicId, partition }: Pick<HeldPartition, 'topicId' | 'partition'>): TopicPartition {
    return { topic: this.#topics.get(topicId)?.name ?? `#${topicId}`, partition }
  }

  /** Looks up the topics before the first assignment. @throws MqError `topic_not_found` */
  async findTopics(signal: AbortSignal): Promise<void> {
    for (const name of this.#config.topics) {
      const topic = await this.#deps.routes.find(name, signal)
      if (topic === undefined)
        throw new MqError('topic_not_found', `there is no topic ${quoted(name)}`)
      this.#know(topic)
    }
  }

  /** Calls `gone` when a topic does not exist any more, or is another one now. @returns a function that takes it back */
  whenTopicGone(gone: (error: MqError) => void): () => void {
    return this.#deps.routes.listen({
      routesChanged: () => this.#deps.reading.schedule(),
      topicGone: (name) => {
        const isRead = this.#config.topics.includes(name)
        const what = `topic ${quoted(name)} was deleted while it was read`
        if (isRead) gone(new MqError('topic_not_found', what))
      },
    })
  }

  /** An assignment was answered. */
  changed(change: AssignmentChange): void {
    this.lost(change.lost)
    this.#tell(this.#config.onAssign, change.granted)
    for (const held of this.#deps.membership.partitions) {
      if (held.state === 'held' && !this.#readers.has(held)) void this.#open(held)
    }
    this.revoked(change.revoked)
    this.withhold()
  }

  /** Partitions are the member's no more. */
  lost(partitions: readonly HeldPartition[]): void {
    for (const held of partitions) this.#close(held)
    for (const drain of this.#drains) {
      for (const held of partitions) drain.partitions.delete(held)
      if (drain.partitions.size === 0) drain.over.abort()
    }
    this.#tell(this.#config.onLost, partitions)
  }

  /** The user is asked to finish what he has of these. */
  revoked(partitions: readonly HeldPartition[]): void {
    for (const held of partitions) this.#close(held)
    const { onRevoke } = this.#config
    if (onRevoke === undefined || partitions.length === 0) return
    const drain = { partitions: new Set(partitions), over: new AbortController() }
    this.#drains.add(drain)
    const places = this.#places(partitions)
    const finish = async (): Promise<void> => {
      try {
        await onRevoke(places, drain.over.signal)
      } finally {
        this.#drains.delete(drain)
        this.#deps.userDone(partitions)
      }
    }
    // In a turn of its own, and not caught: what it throws is the user's.
    queueMicrotask(() => void finish())
  }

  /** These are given back: if their user is still at it, his time is over. */
  released(): void {
    for (const { partitions, over } of this.#drains) {
      if ([...partitions].every(({ state }) => state === 'released')) over.abort()
    }
  }

  /** What was filtered or jumped over needs no handling. */
  pass(): void {
    for (const [held, { position }] of this.#readers) {
      if (position !== undefined) this.#deps.membership.passed(held, position)
    }
  }

  /** Fetches and delivers what may be, and nothing else. */
  withhold(): void {
    const { membership, reading } = this.#deps
    for (const [held, reader] of this.#readers) reader.isWithheld = !membership.isOpen(held)
    reading.schedule()
    reading.progressed()
  }

  async #open(held: HeldPartition): Promise<void> {
    const { membership, reading, routes } = this.#deps
    if (!this.#topics.has(held.topicId)) {
      // Made again under its name, or made known to this client later than to the coordinator.
      await routes.refresh().catch(askedAgainLater)
      for (const name of this.#config.topics) {
        const topic = routes.table.topic(name)
        if (topic !== undefined) this.#know(topic)
      }
    }
    const topic = this.#topics.get(held.topicId)
    const groupId = membership.session?.groupId
    const isHeld = membership.find(held.topicId, held.partition) === held && held.state === 'held'
    if (topic === undefined || groupId === undefined || !isHeld || this.#readers.has(held)) return
    const { partition, epoch } = held
    const before = reading.readAhead.find(topic.name, partition)
    if (before !== undefined) this.#close(this.heldBy(before))
    // Members that broadcast hold one partition under many grants: a broker could not tell who is fenced.
    const grant = this.#config.broadcast ? {} : { grant: { groupId, epoch } }
    const reader = reading.add({ topic, partition, ...grant }, this.#start(held))
    reader.isPaused = before?.isPaused ?? false
    reader.isWithheld = !membership.isOpen(held)
    this.#readers.set(held, reader)
    this.#held.set(reader, held)
    reading.schedule()
  }

  #know(topic: TopicInfo): void {
    this.#topics.set(topic.id, topic)
    this.#names.set(topic.id, topic.name)
  }

  #start(held: HeldPartition) {
    if (keepsProgress(this.#config)) return held.delivered
    return startOf(this.#config, this.placeOf(held))
  }

  #close(held: HeldPartition): void {
    const reader = this.#readers.get(held)
    if (reader === undefined) return
    this.#readers.delete(held)
    this.#deps.reading.remove(reader)
  }

  #tell(
    callback: ((partitions: readonly TopicPartition[]) => void) | undefined,
    partitions: readonly HeldPartition[],
  ): void {
    if (callback === undefined || partitions.length === 0) return
    const places = this.#places(partitions)
    // In a turn of its own: what it throws is the user's.
    queueMicrotask(() => callback(places))
  }

  #places(partitions: readonly HeldPartition[]): TopicPartition[] {
    return partitions.map((held) => this.placeOf(held))
  }
}

/** The next answer of the coordinator leads to a further try. */
function askedAgainLater(error: unknown): void {
  assert(isMqError(error), 'asking for routes fails with an MqError')
}
