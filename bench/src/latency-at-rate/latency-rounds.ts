import type { MeasuredCluster } from '../measured-cluster.ts'
import { topicName } from '../measure.ts'
import { sharedMs } from '../monotonic.ts'
import type { Participant } from '../participant.ts'
import type { Span } from '../profile.ts'
import { partitions } from '../workload.ts'
import type { Arrived, BareSynced, ExpectGiven, OpenGiven, Paced, PaceGiven } from './sides.ts'

export interface LatencySettings {
  readonly sizeBytes: number
  /** Messages per second. */
  readonly rate: number
  /** Of all timed runs of one side together. */
  readonly seconds: number
  /** Timed runs, behind one that warms up. */
  readonly runs: number
}

/** What one run of PopMQ recorded. */
export interface PopmqRound extends Paced {
  /** From when each was to be sent until it was received. */
  readonly received: string
}

interface Parts {
  readonly producer: Participant
  readonly reader: Participant
  readonly bare: Participant
}

const producerFile = new URL('paced-producer.js', import.meta.url)
const readerFile = new URL('stamped-reader.js', import.meta.url)
const bareFile = new URL('bare-disk.js', import.meta.url)

/** Both sides of the workload latency, on the same schedule; while one is measured the other idles. */
export class LatencyRounds {
  readonly #settings: LatencySettings
  readonly #cluster: MeasuredCluster
  readonly #parts: Parts
  readonly #topic = topicName(0)
  /** When PopMQ was measured. */
  readonly spans: Span[] = []

  private constructor(settings: LatencySettings, cluster: MeasuredCluster, parts: Parts) {
    this.#settings = settings
    this.#cluster = cluster
    this.#parts = parts
  }

  /** `file` is what the bare side writes. */
  static async open(
    settings: LatencySettings,
    cluster: MeasuredCluster,
    file: string,
  ): Promise<LatencyRounds> {
    const { start } = cluster
    const producer = await start(producerFile, { name: 'producer', given: { acks: 'disk' } })
    const reader = await start(readerFile, { name: 'reader' })
    const bare = await start(bareFile, { name: 'bare', given: { file }, isProfiled: false })
    const rounds = new LatencyRounds(settings, cluster, { producer, reader, bare })
    await rounds.#openTopic()
    return rounds
  }

  async popmq(): Promise<PopmqRound> {
    const { producer, reader } = this.#parts
    const { sizeBytes, rate } = this.#settings
    const of = { topic: this.#topic, sizeBytes, messages: this.#messages }
    const fromMs = sharedMs()
    await reader.call('expect', {
      ...{ ...of, partitions, measuredFrom: 'intended' },
    } satisfies ExpectGiven)
    const [paced, { latencies }] = await Promise.all([
      producer.call<Paced>('pace', { ...of, rate, by: 'send' } satisfies PaceGiven),
      reader.call<Arrived>('finish', { topic: this.#topic }),
    ])
    this.spans.push({ fromMs, toMs: sharedMs() })
    const [received = ''] = latencies
    return { ...paced, received }
  }

  bare(): Promise<BareSynced> {
    const { rate, sizeBytes } = this.#settings
    return this.#parts.bare.call('atRate', { rate, sizeBytes, records: this.#messages })
  }

  /** Removes what was made: for a cluster that goes on. */
  async removeAll(): Promise<void> {
    await this.#parts.reader.call('leave', {})
    await this.#cluster.client.admin().deleteTopic(this.#topic)
  }

  async #openTopic(): Promise<void> {
    const topic = this.#topic
    await this.#cluster.client.admin().createTopic(topic, { partitions })
    await this.#parts.reader.call('open', { topic, partitions } satisfies OpenGiven)
  }

  /** Of one run. */
  get #messages(): number {
    const { rate, seconds, runs } = this.#settings
    return Math.max(1, Math.round((rate * seconds) / runs))
  }
}
