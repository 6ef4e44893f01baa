import { MqError } from '@popmq/client'
import type { MeasuredCluster } from '../measured-cluster.ts'
import { topicName } from '../measure.ts'
import type { Participant } from '../participant.ts'
import type { Produced, ProduceGiven } from '../participants/sides.ts'
import { processUsage } from '../process-usage.ts'
import { rounded } from '../summary.ts'
import type { OpenGiven } from '../idle/sides.ts'
import type { ReadAll, ReadGiven } from './sides.ts'

/** What is sent and read, and beside how many idle connections. */
export interface Load {
  readonly messages: number
  readonly partitions: number
  /** Each reads all messages. */
  readonly groups: number
  readonly connections: number
}

/** What one run with a load cost the server. */
export interface LoadCost {
  /** On a processor, of all threads, from before the first message was sent until all had been read. */
  readonly cpuMs: number
  readonly seconds: number
}

export interface GrownLoadOptions {
  readonly cluster: MeasuredCluster
  /** The process that serves. */
  readonly pid: number
  readonly sizeBytes: number
  readonly batch: number
}

const producer = new URL('../participants/popmq-producer.js', import.meta.url)
const reader = new URL('reader.js', import.meta.url)
const connections = new URL('../idle/connections.js', import.meta.url)

/** Sends and reads with a load of any size, each time on a new topic, and tells what the server spent on it. */
export class GrownLoad {
  readonly #options: GrownLoadOptions
  readonly #producer: Participant
  readonly #reader: Participant
  readonly #idle: Participant
  #topics = 0
  /** Idle connections that are open. */
  #open = 0

  private constructor(
    options: GrownLoadOptions,
    parts: { producer: Participant; reader: Participant; idle: Participant },
  ) {
    this.#options = options
    this.#producer = parts.producer
    this.#reader = parts.reader
    this.#idle = parts.idle
  }

  static async open(options: GrownLoadOptions): Promise<GrownLoad> {
    const { start } = options.cluster
    const given = { acks: 'disk' }
    const parts = {
      producer: await start(producer, { name: 'producer', given }),
      reader: await start(reader, { name: 'reader' }),
      idle: await start(connections, { name: 'idle', isProfiled: false }),
    }
    return new GrownLoad(options, parts)
  }

  /** @throws MqError `internal` when a message is lost, comes twice or out of order */
  async run(load: Load): Promise<LoadCost> {
    const { cluster, pid, sizeBytes, batch } = this.#options
    const topic = topicName(this.#topics++)
    const admin = cluster.client.admin()
    await admin.createTopic(topic, { partitions: load.partitions })
    await this.#idleWith(load.connections, topic)
    const groups = Array.from({ length: load.groups }, (_, index) => `${topic}-${index}`)
    const before = await processUsage(pid)
    const { messages, partitions } = load
    const reading: ReadGiven = { topic, groups, messages, sizeBytes, partitions }
    await this.#reader.call('start', reading)
    const sending: ProduceGiven = {
      ...{ run: 0, topics: [topic], turns: 'batch', keyed: true },
      ...{ messages, batch, sizeBytes },
    }
    const [{ firstSendMs }, { lastReceiveMs }] = await Promise.all([
      this.#producer.call<Produced>('produce', sending),
      this.#reader.call<ReadAll>('finish', {}),
    ])
    const after = await processUsage(pid)
    for (const group of groups) await admin.groups().delete(group)
    await admin.deleteTopic(topic)
    if (lastReceiveMs < firstSendMs) throw new MqError('internal', 'it was read before it was sent')
    const cpuMs = rounded(after.cpuMs - before.cpuMs)
    return { cpuMs, seconds: Math.round(lastReceiveMs - firstSendMs) / 1_000 }
  }

  async #idleWith(count: number, topic: string): Promise<void> {
    const more = count - this.#open
    this.#open = count
    if (more > 0) await this.#idle.call('open', { count: more, topic } satisfies OpenGiven)
    if (more < 0) await this.#idle.call('close', { count: -more })
  }
}
