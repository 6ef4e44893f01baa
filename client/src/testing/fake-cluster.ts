import type { Clock } from '@popmq/kit'
import {
  clusterStatus,
  epoch,
  errorNumber,
  fetch,
  metadata,
  MqError,
  offsets,
  partitionKey,
} from '@popmq/protocol'
import { partitionNumber, produce, producerOpen, purge, type RequestOf } from '@popmq/protocol'
import {
  topicCreate,
  topicDelete,
  topicId,
  type TopicInfo,
  type TopicPolicy,
} from '@popmq/protocol'
import { topicSet } from '@popmq/protocol'
import { type Channel, respond, route, type Routes, routes } from '@popmq/transport'
import type { Transport } from '@popmq/transport'
import { FakeBroker, type Refusal } from './fake-broker.ts'
import { FakeGroups } from './fake-groups.ts'
import { FakeLog } from './fake-log.ts'
import { FakePops } from './fake-pops.ts'
import { type Asked, type FakePart, type Fault, withFaults } from './faults.ts'

const policy: TopicPolicy = {
  retentionMs: 0,
  maxBytes: 0,
  maxMessageBytes: 1_000_000,
  dedupWindowMs: 120_000,
  replicas: 1,
}

/**
 * A cluster that plays the servers' part of the protocol, in memory: one coordinator, brokers by number, replica set n
 * led by broker n until it is moved. A log survives whatever happens to brokers.
 */
export class FakeCluster {
  readonly coordinator = 'coordinator:1'
  readonly topics = new Map<string, TopicInfo>()
  readonly groups: FakeGroups
  readonly pops: FakePops
  readonly asked: Asked[] = []
  /** To be added before anybody connects to the server that plays it. */
  readonly parts: FakePart[] = []
  /** Decides what becomes of each request. */
  fault: (asked: Asked) => Fault | undefined = () => undefined
  readonly #clock: Clock
  readonly #transport: Transport
  readonly #logs = new Map<number, FakeLog>()
  readonly #leaders = new Map<number, number>()
  readonly #channels = new Map<string, Set<Channel>>()
  readonly #waiting = new Set<() => void>()
  readonly #grants = new Map<string, number>()
  #nextTopicId = 1
  #nextProducerId = 1
  #epoch = 1

  private constructor(clock: Clock, transport: Transport) {
    this.#clock = clock
    this.#transport = transport
    this.groups = new FakeGroups(clock, this.topics)
    const log = (topic: number, partition: number): FakeLog => this.#log(topic, partition)
    const leads = (topic: number, partition: number, broker: number): boolean =>
      this.#refusal(topic, partition, broker) === undefined
    this.pops = new FakePops({ clock, topics: this.topics, log, leads, waiting: this.#waiting })
  }

  static async start(clock: Clock, transport: Transport, brokers = 1): Promise<FakeCluster> {
    const cluster = new FakeCluster(clock, transport)
    await cluster.listen(cluster.coordinator)
    for (let id = 1; id <= brokers; id += 1) {
      cluster.#leaders.set(id, id)
      await cluster.listen(brokerAddress(id))
    }
    return cluster
  }

  async listen(address: string): Promise<void> {
    const role = address === this.coordinator ? 'coordinator' : 'broker'
    await this.#transport.listen(address, (channel) => {
      const channels = this.#channels.get(address) ?? new Set()
      this.#channels.set(address, channels.add(channel))
      const answers = this.#routes(address, channel)
      respond(channel, { role, clusterId: () => 'a-cluster', clock: this.#clock, routes: answers })
    })
  }

  addTopic(name: string, partitions = 1, changes: Partial<TopicPolicy> = {}): TopicInfo {
    const sets = Array.from({ length: partitions }, (_, index) => 1 + (index % this.#leaders.size))
    const id = topicId(this.#nextTopicId)
    this.#nextTopicId += 1
    const info = { name, id, sets, policy: { ...policy, ...changes }, createdAt: this.#clock.now() }
    this.topics.set(name, info)
    return info
  }

  growTopic(name: string, partitions: number): void {
    const info = this.#topic(name)
    const sets = Array.from({ length: partitions }, (_, index) => 1 + (index % this.#leaders.size))
    this.topics.set(name, { ...info, sets })
  }

  log(name: string, partition = 0): FakeLog {
    return this.#log(this.#topic(name).id, partition)
  }

  /** Has another broker lead a replica set; 0: none. */
  move(set: number, broker: number): void {
    this.#leaders.set(set, broker)
    this.#epoch += 1
  }

  /** Breaks all connections to a broker. */
  disconnect(broker: number): void {
    for (const channel of this.#channels.get(brokerAddress(broker)) ?? []) channel.close()
  }

  /** As if a broker had seen a later grant of a partition, and answers held requests. */
  fence(group: string, { topic, partition }: { topic: string; partition: number }): void {
    const { id } = this.groups.group(group)
    const key = `${id}/${this.#topic(topic).id}/${partition}`
    this.#grants.set(key, (this.#grants.get(key) ?? 0) + 1)
    for (const wake of [...this.#waiting]) wake()
  }

  count(name: string): number {
    return this.asked.filter((asked) => asked.name === name).length
  }

  #topic(name: string): TopicInfo {
    const info = this.topics.get(name)
    if (info === undefined) throw new MqError('topic_not_found', `no topic ${name}`)
    return info
  }

  #log(topic: number, partition: number): FakeLog {
    const key = partitionKey(topicId(topic), partitionNumber(partition))
    let log = this.#logs.get(key)
    if (log === undefined) this.#logs.set(key, (log = new FakeLog()))
    return log
  }

  #routes(address: string, channel: Channel): Routes {
    const faulty = withFaults({ clock: this.#clock, address, channel, cluster: this })
    const further = this.parts.flatMap((part) => part.routes(address, faulty))
    if (address === this.coordinator) {
      return routes(
        ...further,
        ...this.groups.routes(faulty),
        ...this.pops.coordinatorRoutes(faulty),
        route(
          metadata,
          faulty('metadata', (request) => ({ reply: this.#metadata(request) })),
        ),
        route(
          clusterStatus,
          faulty('cluster_status', () => ({ reply: this.#status() })),
        ),
        route(
          producerOpen,
          faulty('producer_open', () => {
            this.#nextProducerId += 1
            return { reply: { producerId: this.#nextProducerId - 1 } }
          }),
        ),
        route(
          topicCreate,
          faulty('topic_create', ({ name, partitions }) => {
            if (this.topics.has(name)) throw new MqError('topic_exists', `topic ${name} exists`)
            return { reply: { topic: this.addTopic(name, partitions) } }
          }),
        ),
        route(
          topicSet,
          faulty('topic_set', ({ name, partitions }) => {
            if (partitions !== undefined) this.growTopic(name, partitions)
            return { reply: { topic: this.#topic(name) } }
          }),
        ),
        route(
          topicDelete,
          faulty('topic_delete', ({ name }) => {
            const { id } = this.#topic(name)
            this.topics.delete(name)
            return { reply: { id } }
          }),
        ),
      )
    }
    const replaced = new Set(further.map(({ type }) => type))
    const brokerId = Number(address.split(':')[1])
    const broker = this.#broker(brokerId)
    return routes(
      ...this.pops.brokerRoutes(brokerId, faulty).filter(({ type }) => !replaced.has(type)),
      ...further,
      route(
        produce,
        faulty('produce', (request, bytes) => broker.produce(request, bytes)),
      ),
      route(
        fetch,
        faulty('fetch', (request) => broker.fetch(request)),
      ),
      route(
        offsets,
        faulty('offsets', (request) => broker.offsets(request)),
      ),
      route(
        purge,
        faulty('purge', (request) => broker.purge(request)),
      ),
    )
  }

  #broker(id: number): FakeBroker {
    return new FakeBroker({
      clock: this.#clock,
      log: (topic, partition) => this.#log(topic, partition),
      refusal: (topic, partition) => this.#refusal(topic, partition, id),
      grants: this.#grants,
      waiting: this.#waiting,
    })
  }

  #metadata({ topics: names }: RequestOf<typeof metadata>) {
    const all = [...this.topics.values()]
    return {
      clusterId: 'a-cluster',
      topics: names === undefined ? all : all.filter(({ name }) => names.includes(name)),
      sets: [...this.#leaders].map(([id, leader]) => {
        return {
          id,
          leader,
          epoch: epoch(this.#epoch),
          address: leader === 0 ? '' : brokerAddress(leader),
        }
      }),
      brokers: [...this.#leaders.keys()].map((id) => {
        return { id, epoch: epoch(1), address: brokerAddress(id), alive: true, setId: id }
      }),
    }
  }

  #status() {
    const { clusterId, brokers, topics } = this.#metadata({})
    return {
      clusterId,
      leader: this.coordinator,
      leaderEpoch: 1,
      coordinators: [{ id: 1, address: this.coordinator }],
      brokers: brokers.map(({ alive, ...broker }) => {
        return { ...broker, state: alive ? ('live' as const) : ('ended' as const) }
      }),
      topics: topics.length,
      partitions: topics.reduce((sum, { sets }) => sum + sets.length, 0),
      groups: 0,
    }
  }

  /** Why a broker cannot serve a partition. */
  #refusal(topic: number, partition: number, broker: number): Refusal | undefined {
    const info = [...this.topics.values()].find(({ id }) => id === topic)
    const set = info?.sets[partition]
    if (set === undefined) return { error: errorNumber('topic_not_found'), what: 'no such topic' }
    if (this.#leaders.get(set) === broker) return undefined
    return { error: errorNumber('not_leader'), what: 'another broker leads' }
  }
}

export function brokerAddress(id: number): string {
  return `broker:${id}`
}
