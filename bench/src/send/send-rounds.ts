import { setTimeout } from 'node:timers/promises'
import { MqError } from '@popmq/client'
import type { BareGiven, BareSynced } from '../latency-at-rate/sides.ts'
import type { MeasuredCluster } from '../measured-cluster.ts'
import { topicName } from '../measure.ts'
import type { Participant } from '../participant.ts'
import type { Span } from '../profile.ts'
import { partitions } from '../workload.ts'
import type { SendGiven, SentInFlight, SentOneByOne } from './sides.ts'

export interface SendSettings {
  readonly sizeBytes: number
  /** Messages per run with many in flight. */
  readonly messages: number
  readonly inFlight: number
  /** Messages per run one by one, and records of the bare loop beside it. */
  readonly singles: number
  /** Timed runs, behind one that warms up. */
  readonly runs: number
}

const senderFile = new URL('sender.js', import.meta.url)
const bareFile = new URL('../latency-at-rate/bare-disk.js', import.meta.url)
const lookMs = 50
const stuckMs = 10_000

/** What the workload send measures: one by one, a bare loop beside it, and with many in flight. */
export class SendRounds {
  readonly #settings: SendSettings
  readonly #cluster: MeasuredCluster
  readonly #parts: { readonly sender: Participant; readonly bare: Participant }
  readonly #topic = topicName(0)
  #sent = 0
  /** When many were in flight: one by one the processes mostly wait. */
  readonly spans: Span[] = []

  private constructor(
    settings: SendSettings,
    cluster: MeasuredCluster,
    parts: { sender: Participant; bare: Participant },
  ) {
    this.#settings = settings
    this.#cluster = cluster
    this.#parts = parts
  }

  /** `file` is what the bare side writes. */
  static async open(
    settings: SendSettings,
    cluster: MeasuredCluster,
    file: string,
  ): Promise<SendRounds> {
    const { client, start } = cluster
    const sender = await start(senderFile, { name: 'sender', given: { acks: 'disk' } })
    const bare = await start(bareFile, { name: 'bare', given: { file }, isProfiled: false })
    const rounds = new SendRounds(settings, cluster, { sender, bare })
    await client.admin().createTopic(rounds.#topic, { partitions })
    return rounds
  }

  async oneByOne(): Promise<string> {
    const { sizeBytes, singles: messages } = this.#settings
    const given: SendGiven = { topic: this.#topic, sizeBytes, messages }
    const { took } = await this.#parts.sender.call<SentOneByOne>('oneByOne', given)
    this.#sent += messages
    return took
  }

  async bare(): Promise<string> {
    const { sizeBytes, singles: records } = this.#settings
    const given: BareGiven = { sizeBytes, records }
    return (await this.#parts.bare.call<BareSynced>('oneByOne', given)).synced
  }

  /** @returns how long it took, in ms */
  async inFlight(): Promise<number> {
    const { sizeBytes, messages, inFlight } = this.#settings
    const given: SendGiven = { topic: this.#topic, sizeBytes, messages }
    const sent = await this.#parts.sender.call<SentInFlight>('inFlight', { ...given, inFlight })
    this.#sent += messages
    this.spans.push({ fromMs: sent.firstSendMs, toMs: sent.lastAckMs })
    return sent.lastAckMs - sent.firstSendMs
  }

  /** Asks the cluster itself. @throws MqError `internal` when it has more or fewer messages than were acknowledged */
  async check(): Promise<void> {
    const admin = this.#cluster.client.admin()
    for (let waitedMs = 0; ; waitedMs += lookMs) {
      const offsets = await admin.offsets(this.#topic)
      const stored = offsets.reduce((sum, { high }) => sum + high, 0)
      if (stored === this.#sent) return
      // What is acknowledged becomes visible a moment later.
      if (stored > this.#sent || waitedMs >= stuckMs)
        throw new MqError('internal', `${stored} messages were stored, ${this.#sent} acknowledged`)
      await setTimeout(lookMs)
    }
  }

  /** Removes what was made: for a cluster that goes on. */
  async removeAll(): Promise<void> {
    await this.#cluster.client.admin().deleteTopic(this.#topic)
  }
}
