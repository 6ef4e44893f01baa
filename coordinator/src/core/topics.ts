import { assert, present } from '@popmq/kit'
import {
  checkName,
  isSystemName,
  MqError,
  quoted,
  type RequestOf,
  type topicCreate,
  topicId,
  type TopicInfo,
  type topicSet,
} from '@popmq/protocol'
import type { Change } from './leadership.ts'
import { type Candidate, placePartitions } from './placement.ts'
import { type Counters, encodeValue, paths } from './registry-values.ts'
import { topicPolicyOf } from './topic-policy.ts'

/** A write that changes one topic. */
export interface TopicChange extends Change {
  readonly info: TopicInfo
  /** The number of this change: a broker that has applied it, or a later one, acts on it. */
  readonly version: number
}

interface Topic {
  /** As the registry has it. */
  info: TopicInfo
  /** As routes show it; undefined until every broker knows the new topic. */
  shown: TopicInfo | undefined
  nodeVersion: number
}

/**
 * The topics. A topic is
 *   settling   a change of it is in the registry, and brokers with a session have still to apply it; routes show what
 *              was before, and a further change is refused with `topic_busy`
 *   settled    routes show what the registry has
 * create → settling → settled ⇄ settling (set) ; delete from settled: gone at once from here, later from the brokers.
 * `prepare…` computes a write and changes nothing; the write's success is told to `created`, `changed` and `removed`.
 */
export class Topics {
  readonly #byKey = new Map<string, Topic>()
  readonly #settling = new Set<Topic>()
  /** The version of the last change that touched a set; sets without one have not changed since `#loadedVersion`. */
  readonly #changedBySet = new Map<number, number>()
  #loadedVersion = 0

  restore(info: TopicInfo, nodeVersion: number): void {
    this.#byKey.set(keyOf(info.name), { info, shown: info, nodeVersion })
  }

  /** All that the registry has was restored; `version` counts the changes that led there. */
  restored(version: number): void {
    this.#loadedVersion = version
  }

  get size(): number {
    return this.#byKey.size
  }

  /** Partitions of all topics, by set. */
  loads(): Map<number, number> {
    const loads = new Map<number, number>()
    for (const { info } of this.#byKey.values()) {
      for (const set of info.sets) loads.set(set, (loads.get(set) ?? 0) + 1)
    }
    return loads
  }

  /** What routes show, by name; without `names` all. */
  shown(names?: Iterable<string>): TopicInfo[] {
    const topics =
      names === undefined
        ? this.#byKey.values()
        : Array.from(new Set(names), (name) => this.#find(name))
    return [...topics]
      .flatMap((topic) => topic?.shown ?? [])
      .toSorted((a, b) => (a.name < b.name ? -1 : 1))
  }

  /** Topics with a partition on this set, by id. */
  ofSet(setId: number): TopicInfo[] {
    return [...this.#byKey.values()]
      .map(({ info }) => info)
      .filter(({ sets }) => sets.includes(setId))
      .toSorted((a, b) => a.id - b.id)
  }

  /** Whether the topics of a set are others than at `version`; so they are for a version that was not given here. */
  changedSince(setId: number, version: number): boolean {
    return version < this.#loadedVersion || version < (this.#changedBySet.get(setId) ?? 0)
  }

  /** @throws MqError `invalid_name`, `topic_exists`, `invalid_config`, `no_brokers` */
  prepareCreate(
    request: RequestOf<typeof topicCreate>,
    { counters, sets, nowMs }: { counters: Counters; sets: readonly Candidate[]; nowMs: number },
  ): TopicChange {
    const name = checkTopicName(request.name)
    this.#refuseTwin(name)
    const policy = topicPolicyOf(request.config ?? {})
    if (sets.length === 0) throw noBrokers()
    const info: TopicInfo = {
      name,
      id: topicId(counters.topicId + 1),
      sets: placePartitions(request.partitions, sets),
      policy,
      createdAt: nowMs,
    }
    const version = counters.version + 1
    return {
      ops: [{ kind: 'create', path: paths.topic(name), value: encodeValue(info) }],
      counters: { topicId: info.id, version },
      info,
      version,
    }
  }

  /** @throws MqError `topic_not_found`, `topic_busy`, `invalid_config`, `no_brokers` */
  prepareSet(
    request: RequestOf<typeof topicSet>,
    { counters, sets }: { counters: Counters; sets: readonly Candidate[] },
  ): TopicChange {
    const topic = this.#settled(request.name)
    const { info } = topic
    const more = (request.partitions ?? info.sets.length) - info.sets.length
    if (more < 0) {
      const what = `topic ${quoted(info.name)} has ${info.sets.length} partitions: they can be added, not removed`
      throw new MqError('invalid_config', what, { facts: { partitions: info.sets.length } })
    }
    if (more > 0 && sets.length === 0) throw noBrokers()
    const changed: TopicInfo = {
      ...info,
      policy: topicPolicyOf(request.config ?? {}, info.policy),
      sets: more === 0 ? info.sets : [...info.sets, ...placePartitions(more, sets, info.sets)],
    }
    const version = counters.version + 1
    const value = encodeValue(changed)
    return {
      ops: [{ kind: 'set', path: paths.topic(info.name), value, version: topic.nodeVersion }],
      counters: { version },
      info: changed,
      version,
    }
  }

  /** @throws MqError `topic_not_found`, `topic_busy` */
  prepareDelete(name: string, { counters }: { counters: Counters }): TopicChange {
    const { info, nodeVersion } = this.#settled(name)
    const version = counters.version + 1
    return {
      ops: [{ kind: 'remove', path: paths.topic(info.name), version: nodeVersion }],
      counters: { version },
      info,
      version,
    }
  }

  created({ info, version }: TopicChange): void {
    const topic: Topic = { info, shown: undefined, nodeVersion: 1 }
    this.#byKey.set(keyOf(info.name), topic)
    this.#settling.add(topic)
    this.#touch(info, version)
  }

  changed({ info, version }: TopicChange): void {
    const topic = present(this.#byKey.get(keyOf(info.name)), 'a topic that was set is there')
    topic.info = info
    topic.nodeVersion += 1
    this.#settling.add(topic)
    this.#touch(info, version)
  }

  removed({ info, version }: TopicChange): void {
    assert(this.#byKey.delete(keyOf(info.name)), 'a topic that was removed was there')
    this.#touch(info, version)
  }

  /** Every broker with a session has applied the change, or nobody waits for it any longer. */
  settle({ info }: TopicChange): void {
    const topic = this.#byKey.get(keyOf(info.name))
    if (topic?.info !== info) return
    topic.shown = info
    this.#settling.delete(topic)
  }

  #touch({ sets }: TopicInfo, version: number): void {
    for (const set of sets) this.#changedBySet.set(set, version)
  }

  #find(name: string): Topic | undefined {
    const topic = this.#byKey.get(keyOf(name))
    return topic?.info.name === name ? topic : undefined
  }

  #settled(name: string): Topic {
    const topic = this.#find(name)
    if (topic === undefined) throw notFound(name, this.#byKey.get(keyOf(name))?.info.name)
    if (this.#settling.has(topic)) {
      throw new MqError(
        'topic_busy',
        `a change of topic ${quoted(name)} has not reached all brokers yet`,
        {
          retryAfterMs: 200,
        },
      )
    }
    return topic
  }

  #refuseTwin(name: string): void {
    const there = this.#byKey.get(keyOf(name))?.info.name
    if (there === undefined) return
    const what =
      there === name
        ? `topic ${quoted(name)} exists`
        : `topic ${quoted(there)} exists, and names must differ in more than capital letters from ${quoted(name)}`
    throw new MqError('topic_exists', what)
  }
}

function keyOf(name: string): string {
  return name.toLowerCase()
}

function checkTopicName(name: string): string {
  if (!isSystemName(name)) return checkName('topic', name)
  throw new MqError(
    'invalid_name',
    `topic name ${quoted(name)} begins with _: such names are the system's`,
  )
}

function notFound(name: string, twin: string | undefined): MqError {
  const hint = twin === undefined ? '' : `; there is ${quoted(twin)}`
  return new MqError('topic_not_found', `there is no topic ${quoted(name)}${hint}`)
}

function noBrokers(): MqError {
  return new MqError('no_brokers', 'no broker has a session with the coordinator', {
    retryAfterMs: 500,
  })
}
