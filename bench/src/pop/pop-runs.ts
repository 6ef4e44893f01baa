import { setTimeout } from 'node:timers/promises'
import { MqError } from '@popmq/client'
import type { MeasuredCluster } from '../measured-cluster.ts'
import { topicName } from '../measure.ts'
import type { Participant } from '../participant.ts'
import type { Span } from '../profile.ts'
import { partitions } from '../workload.ts'
import { AckedNumbers } from './acked-numbers.ts'
import { checkDrained } from './drained-group.ts'
import type { LetGo, OpenGiven, Popped } from './sides.ts'

export interface PopSettings {
  readonly sizeBytes: number
  /** Messages of each pop. */
  readonly batch: number
  /** Messages per run. */
  readonly messages: number
  /** Of the group, in all processes together. */
  readonly consumers: number
  readonly processes: number
  /** Timed runs, behind one that warms up. */
  readonly runs: number
}

/** One timed run: of the workload pop, or of either side of pop-held. */
export interface PopRun {
  readonly path: 'pop' | 'one held' | 'none held'
  readonly run: number
  readonly seconds: number
  readonly messagesPerSecond: number
  /** Handles whose ack was answered otherwise: their messages were popped again. */
  readonly notAcked: number
  /** Of the held message's lease. */
  readonly extensions?: number
}

const producer = new URL('../participants/popmq-producer.js', import.meta.url)
const popper = new URL('popper.js', import.meta.url)
const produceBatch = 1_000
const lookMs = 50
/** Longer than the lease of what a consumer lost. */
const stuckMs = 60_000

/** Fills a topic, has a group pop and ack all of it, and checks that each message was acked once. */
export class PopRuns {
  readonly #cluster: MeasuredCluster
  readonly #settings: PopSettings
  readonly #producer: Participant
  readonly #poppers: readonly Participant[]
  readonly #names: string[] = []
  /** When counted runs were under way. */
  readonly spans: Span[] = []

  private constructor(
    { cluster, settings }: { cluster: MeasuredCluster; settings: PopSettings },
    filler: Participant,
    poppers: readonly Participant[],
  ) {
    this.#cluster = cluster
    this.#settings = settings
    this.#producer = filler
    this.#poppers = poppers
  }

  static async open(cluster: MeasuredCluster, settings: PopSettings): Promise<PopRuns> {
    const given = { acks: 'disk' }
    const filler = await cluster.start(producer, { name: 'producer', given, isProfiled: false })
    const poppers: Participant[] = []
    for (let number = 1; number <= settings.processes; number += 1)
      poppers.push(await cluster.start(popper, { name: `popper-${number}` }))
    return new PopRuns({ cluster, settings }, filler, poppers)
  }

  /** @throws MqError `corrupt_record` when a message was acked twice, `internal` when the group is not done with all */
  async measure(path: PopRun['path'], run: number): Promise<PopRun> {
    const { messages } = this.#settings
    const { client } = this.#cluster
    const topic = topicName(this.#names.length)
    const group = topic
    this.#names.push(topic)
    await client.admin().createTopic(topic, { partitions })
    await this.#fill(topic)
    const acked = new AckedNumbers(messages)
    // Both sides of pop-held have one message less to pop: there it is held while the others are, or let go before.
    const isOneApart = path !== 'pop'
    if (isOneApart) await this.#first.call('hold', { topic, group })
    if (path === 'none held') acked.add((await this.#letGo()).number)
    const expected = messages - (isOneApart ? 1 : 0)
    const popped = await this.#popAll(expected)
    for (const { acked: encoded } of popped) acked.addAll(encoded)
    let extensions: number | undefined
    if (path === 'one held') {
      await checkDrained(client, { topic, group, acked: expected, leased: 1 })
      const { number, ...held } = await this.#letGo()
      acked.add(number)
      extensions = held.extensions
    }
    await checkDrained(client, { topic, group, acked: acked.count, leased: 0 })
    if (acked.count !== messages)
      throw new MqError('internal', `${acked.count} of ${messages} messages were acked`)
    const told = this.#told({ path, run, popped }, expected)
    return extensions === undefined ? told : { ...told, extensions }
  }

  /** Removes what was made: for a cluster that goes on. */
  async removeAll(): Promise<void> {
    const admin = this.#cluster.client.admin()
    for (const name of this.#names) {
      await admin.groups().delete(name)
      await admin.deleteTopic(name)
    }
  }

  get #first(): Participant {
    const [first] = this.#poppers
    if (first === undefined) throw new MqError('invalid_request', 'a process pops at least')
    return first
  }

  #letGo(): Promise<LetGo> {
    return this.#first.call<LetGo>('letGo', {})
  }

  /** Consumers open their group first, while the topic is empty: that is not measured. */
  async #fill(topic: string): Promise<void> {
    const { messages, sizeBytes, batch, consumers } = this.#settings
    const opening = this.#poppers.map((each, index) => {
      const given = { topic, group: topic, batch, messages, sizeBytes }
      const share = shareOf(consumers, { of: this.#poppers.length, index })
      return each.call('open', { ...given, consumers: share } satisfies OpenGiven)
    })
    await Promise.all(opening)
    const given = { run: 0, topics: [topic], turns: 'batch', keyed: false, batch: produceBatch }
    await this.#producer.call('produce', { ...given, messages, sizeBytes })
  }

  async #popAll(expected: number): Promise<readonly Popped[]> {
    await Promise.all(this.#poppers.map((each) => each.call('start', {})))
    await this.#untilAcked(expected)
    return Promise.all(this.#poppers.map((each) => each.call<Popped>('finish', {})))
  }

  async #untilAcked(expected: number): Promise<void> {
    let before = 0
    let grewAt = performance.now()
    for (;;) {
      const asked = this.#poppers.map((each) => each.call<{ count: number }>('acked', {}))
      const count = (await Promise.all(asked)).reduce((sum, acked) => sum + acked.count, 0)
      if (count >= expected) return
      const now = performance.now()
      if (count > before) grewAt = now
      else if (now - grewAt > stuckMs)
        throw new MqError('timed_out', `${count} of ${expected} messages were acked, then no more`)
      before = count
      await setTimeout(lookMs)
    }
  }

  #told(
    { path, run, popped }: Pick<PopRun, 'path' | 'run'> & { popped: readonly Popped[] },
    count: number,
  ): PopRun {
    const fromMs = Math.min(...popped.map(({ firstPopMs }) => firstPopMs))
    const toMs = Math.max(...popped.map(({ lastAckMs }) => lastAckMs))
    if (run > 0) this.spans.push({ fromMs, toMs })
    const seconds = (toMs - fromMs) / 1_000
    return {
      path,
      run,
      seconds: Math.round(toMs - fromMs) / 1_000,
      messagesPerSecond: Math.round(count / seconds),
      notAcked: popped.reduce((sum, { notAcked }) => sum + notAcked, 0),
    }
  }
}

/** A part of `whole` that differs by at most one from the others. */
export function shareOf(
  whole: number,
  { of: parts, index }: { of: number; index: number },
): number {
  return Math.floor(whole / parts) + (index < whole % parts ? 1 : 0)
}
