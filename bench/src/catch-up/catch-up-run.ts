import { setTimeout } from 'node:timers/promises'
import type { TailLatency } from '../latency-at-rate/latency-histogram.ts'
import type { MeasuredCluster } from '../measured-cluster.ts'
import { topicName } from '../measure.ts'
import { sharedMs } from '../monotonic.ts'
import type { Participant } from '../participant.ts'
import type { Consumed, ConsumeGiven, Produced, ProduceGiven } from '../participants/sides.ts'
import type { Span } from '../profile.ts'
import { partitions } from '../workload.ts'
import { liveSchedule } from './live-arrivals.ts'
import type {
  LiveAsked,
  LiveGiven,
  LivePace,
  LiveSpan,
  LiveStarted,
  LiveStopped,
} from './live-sides.ts'

export interface CatchUpSettings {
  readonly sizeBytes: number
  /** Messages that are stored before any is read. */
  readonly messages: number
  /** Messages given to the producer at once. */
  readonly batch: number
  /** Live messages per second. */
  readonly rate: number
  /** How long live traffic is measured alone, before each catch-up. */
  readonly seconds: number
  /** How often the whole backlog is read. */
  readonly runs: number
}

export interface CatchUpRun {
  readonly stored: Span
  readonly caughtUp: readonly Span[]
  /** Of each catch-up: live traffic just before it, and meanwhile. */
  readonly pairs: readonly LiveSides[]
  /** All of them together. */
  readonly live: LiveSides
}

export interface LiveSides {
  readonly alone: TailLatency
  readonly beside: TailLatency
}

const files = {
  filler: new URL('../participants/popmq-producer.js', import.meta.url),
  catchUp: new URL('../participants/popmq-consumer.js', import.meta.url),
  producer: new URL('live-producer.js', import.meta.url),
  consumer: new URL('live-consumer.js', import.meta.url),
}
const mostWarmUpMs = 3_000

/**
 * Stores a backlog, then measures live traffic on another topic alone, and beside a consumer that reads the backlog.
 * @throws MqError `corrupt_record` when a message is missing or comes twice, `timed_out` when live ones stay away
 */
export async function runCatchUp(
  settings: CatchUpSettings,
  cluster: MeasuredCluster,
): Promise<CatchUpRun> {
  const { client, start } = cluster
  const [backlog, live] = [topicName(0), topicName(1)]
  for (const topic of [backlog, live]) await client.admin().createTopic(topic, { partitions })
  const stored = await store(settings, { cluster, topic: backlog })
  // All processes are there before anything is measured: that they start is in no figure.
  const catchUp = await start(files.catchUp, { name: 'catch-up' })
  const traffic = await LiveTraffic.start(cluster, { ...settings, topic: live, partitions })
  const aloneMs = settings.seconds * 1_000
  const warmUpMs = Math.min(mostWarmUpMs, aloneMs)
  await setTimeout(warmUpMs)
  const caughtUp: Span[] = []
  const pairs: { readonly alone: LiveSpan; readonly beside: LiveSpan }[] = []
  for (let run = 0; run < settings.runs; run += 1) {
    const alone = await traffic.during(() => setTimeout(aloneMs))
    const beside = await traffic.during(async () => {
      caughtUp.push(await readAll(catchUp, { ...settings, topic: backlog }))
    })
    pairs.push({ alone, beside })
    await setTimeout(warmUpMs)
  }
  await traffic.stop()
  const all = await traffic.sides(pairs)
  const each = await Promise.all(pairs.map((pair) => traffic.sides([pair])))
  // Whoever reads a topic fails when it is deleted.
  await traffic.close()
  for (const topic of [backlog, live]) await client.admin().deleteTopic(topic)
  return { stored, caughtUp, pairs: each, live: all }
}

async function store(
  { messages, batch, sizeBytes }: CatchUpSettings,
  { cluster, topic }: { cluster: MeasuredCluster; topic: string },
): Promise<Span> {
  const filler = await cluster.start(files.filler, { name: 'producer', given: { acks: 'disk' } })
  const given: ProduceGiven = {
    ...{ run: 0, topics: [topic], turns: 'batch', keyed: false },
    ...{ messages, batch, sizeBytes },
  }
  const { firstSendMs: fromMs, lastAckMs: toMs } = await filler.call<Produced>('produce', given)
  await filler.close()
  return { fromMs, toMs }
}

/** Each message once, whole and in order: the process checks it. */
async function readAll(
  catchUp: Participant,
  { topic, messages, sizeBytes }: CatchUpSettings & { topic: string },
): Promise<Span> {
  const given: ConsumeGiven = { run: 0, topic, messages, sizeBytes, partitions }
  const fromMs = sharedMs()
  await catchUp.call('start', given)
  const { lastReceiveMs: toMs } = await catchUp.call<Consumed>('finish', {})
  return { fromMs, toMs }
}

/** Messages at a steady rate from one process to another. */
class LiveTraffic {
  readonly #producer: Participant
  readonly #consumer: Participant
  readonly #pace: LivePace

  private constructor(producer: Participant, consumer: Participant, pace: LivePace) {
    this.#producer = producer
    this.#consumer = consumer
    this.#pace = pace
  }

  static async start(
    { start }: MeasuredCluster,
    { topic, sizeBytes, rate }: LiveGiven,
  ): Promise<LiveTraffic> {
    const consumer = await start(files.consumer, { name: 'live consumer' })
    const producer = await start(files.producer, { name: 'live producer' })
    await consumer.call('start', { topic } satisfies Pick<LiveGiven, 'topic'>)
    const given: LiveGiven = { topic, partitions, sizeBytes, rate }
    const { startMs } = await producer.call<LiveStarted>('start', given)
    return new LiveTraffic(producer, consumer, { startMs, rate })
  }

  /** The messages that were due while `act` went on. */
  async during(act: () => Promise<unknown>): Promise<LiveSpan> {
    const schedule = liveSchedule(this.#pace)
    const from = schedule.dueBy(sharedMs())
    await act()
    const to = schedule.dueBy(sharedMs())
    return { from, to }
  }

  async sides(
    pairs: readonly { readonly alone: LiveSpan; readonly beside: LiveSpan }[],
  ): Promise<LiveSides> {
    const alone = await this.#latency(pairs.map((pair) => pair.alone))
    const beside = await this.#latency(pairs.map((pair) => pair.beside))
    return { alone, beside }
  }

  /** Every message has come. */
  async stop(): Promise<void> {
    const { sent } = await this.#producer.call<LiveStopped>('stop', {})
    await this.#latency([{ from: 0, to: sent }])
  }

  async close(): Promise<void> {
    await Promise.all([this.#producer.close(), this.#consumer.close()])
  }

  /** Waits for those that are under way. */
  #latency(spans: readonly LiveSpan[]): Promise<TailLatency> {
    return this.#consumer.call('latency', { spans, ...this.#pace } satisfies LiveAsked)
  }
}
