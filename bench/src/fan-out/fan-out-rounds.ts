import type { Arrived, ExpectGiven, OpenGiven, Paced, PaceGiven } from '../latency-at-rate/sides.ts'
import type { MeasuredCluster } from '../measured-cluster.ts'
import { topicName } from '../measure.ts'
import { sharedMs } from '../monotonic.ts'
import type { Participant } from '../participant.ts'
import type { Span } from '../profile.ts'
import { partitions } from '../workload.ts'
import { type BrokerWork, readWork, workBetween } from './broker-work.ts'

export interface FanOutSettings {
  readonly sizeBytes: number
  /** Messages per second, of the producer. */
  readonly rate: number
  /** Of all timed runs of one side together. */
  readonly seconds: number
  /** Groups that read the same topic, each with one consumer. */
  readonly groups: number
  /** Client processes that share them. */
  readonly processes: number
  /** Timed runs, behind one that warms up. */
  readonly runs: number
}

/** The groups asked for, or one for comparison. */
export type FanOutPath = 'all groups' | 'one group'

/** What one run recorded. */
export interface FanOutRound {
  readonly paced: Paced
  /** From when each was sent until it was received: of each group, a histogram as text. */
  readonly lags: readonly string[]
  /** Of the brokers, from before the first message to behind the last. */
  readonly work: BrokerWork
  /** From the first message to the last that any group received. */
  readonly seconds: number
}

const producerFile = new URL('../latency-at-rate/paced-producer.js', import.meta.url)
const readerFile = new URL('../latency-at-rate/stamped-reader.js', import.meta.url)

/** What reads one topic. */
interface Side {
  readonly topic: string
  /** Of each process; none of some. */
  readonly groups: readonly (readonly string[])[]
}

/** One producer, and groups that each read all of it. Each side has a topic, whose groups idle while the other's read. */
export class FanOutRounds {
  readonly #settings: FanOutSettings
  readonly #cluster: MeasuredCluster
  readonly #producer: Participant
  readonly #readers: readonly Participant[]
  readonly #sides: Readonly<Record<FanOutPath, Side>>
  /** When messages were on their way. */
  readonly spans: { readonly path: FanOutPath; readonly span: Span }[] = []

  private constructor(
    settings: FanOutSettings,
    cluster: MeasuredCluster,
    processes: { producer: Participant; readers: readonly Participant[] },
  ) {
    this.#settings = settings
    this.#cluster = cluster
    this.#producer = processes.producer
    this.#readers = processes.readers
    const [all, one] = [topicName(0), topicName(1)]
    const names = Array.from({ length: settings.groups }, (_, number) => `${all}-${number}`)
    this.#sides = {
      'all groups': { topic: all, groups: dealt(names, settings.processes) },
      'one group': { topic: one, groups: dealt([one], settings.processes) },
    }
  }

  static async open(settings: FanOutSettings, cluster: MeasuredCluster): Promise<FanOutRounds> {
    const { start } = cluster
    const producer = await start(producerFile, { name: 'producer', given: { acks: 'disk' } })
    const readers: Participant[] = []
    for (let number = 1; number <= settings.processes; number += 1)
      readers.push(await start(readerFile, { name: `reader-${number}` }))
    const rounds = new FanOutRounds(settings, cluster, { producer, readers })
    for (const side of Object.values(rounds.#sides)) await rounds.#openSide(side)
    return rounds
  }

  async measure(path: FanOutPath): Promise<FanOutRound> {
    const { sizeBytes, rate } = this.#settings
    const { topic } = this.#sides[path]
    const admin = this.#cluster.client.admin()
    const of = { topic, sizeBytes, messages: this.messages }
    const expected: ExpectGiven = { ...of, partitions, measuredFrom: 'sent' }
    const readers = this.#readersOf(path)
    await Promise.all(readers.map((reader) => reader.call('expect', expected)))
    const before = await readWork(admin)
    const fromMs = sharedMs()
    const finishing = Promise.all(
      readers.map((reader) => reader.call<Arrived>('finish', { topic })),
    )
    const given: PaceGiven = { ...of, rate, by: 'sendBatch' }
    const [paced, arrived] = await Promise.all([
      this.#producer.call<Paced>('pace', given),
      finishing,
    ])
    const toMs = sharedMs()
    const work = workBetween(before, await readWork(admin))
    this.spans.push({ path, span: { fromMs, toMs } })
    const lags = arrived.flatMap(({ latencies }) => latencies)
    return { paced, lags, work, seconds: (toMs - fromMs) / 1_000 }
  }

  /** Of one run. */
  get messages(): number {
    const { rate, seconds, runs } = this.#settings
    return Math.max(1, Math.round((rate * seconds) / runs))
  }

  /** Removes what was made: for a cluster that goes on. */
  async removeAll(): Promise<void> {
    const admin = this.#cluster.client.admin()
    await Promise.all(this.#readers.map((reader) => reader.call('leave', {})))
    for (const { topic, groups } of Object.values(this.#sides)) {
      for (const group of groups.flat()) await admin.groups().delete(group)
      await admin.deleteTopic(topic)
    }
  }

  async #openSide({ topic, groups }: Side): Promise<void> {
    await this.#cluster.client.admin().createTopic(topic, { partitions })
    const opening = this.#readers.map((reader, index) => {
      const given: OpenGiven = { topic, partitions, groups: groups[index] ?? [] }
      return reader.call('open', given)
    })
    await Promise.all(opening)
  }

  /** Processes that read on this side. */
  #readersOf(path: FanOutPath): readonly Participant[] {
    const { groups } = this.#sides[path]
    return this.#readers.filter((_, index) => (groups[index] ?? []).length > 0)
  }
}

/** Names dealt out in turn. */
export function dealt(names: readonly string[], hands: number): readonly (readonly string[])[] {
  return Array.from({ length: hands }, (_, hand) =>
    names.filter((_name, index) => index % hands === hand),
  )
}
