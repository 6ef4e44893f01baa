import { setTimeout } from 'node:timers/promises'
import { type Admin, MqError } from '@popmq/client'
import type { MeasuredCluster } from '../measured-cluster.ts'
import { topicName } from '../measure.ts'
import { sharedMs } from '../monotonic.ts'
import type { Participant } from '../participant.ts'
import type { Produced, ProduceGiven } from '../participants/sides.ts'
import type { Span } from '../profile.ts'
import { partitions } from '../workload.ts'
import { type Memory, readMemory } from './broker-memory.ts'

export interface DelayedSettings {
  readonly sizeBytes: number
  /** Messages given to the producer at once. */
  readonly batch: number
  /** Messages that wait for one moment, all together. */
  readonly messages: number
  /** How long after the first is sent all are due. @defaultValue reckoned from how long sending without a delay takes */
  readonly leadMs?: number
}

export interface DelayedRun {
  /** How long each took: as many messages without a delay; those with one, until all were acknowledged; all firing. */
  readonly produced: Span
  readonly scheduled: Span
  readonly fired: Span
  readonly leadMs: number
  /** Of the brokers: before, while all are pending, and when all are visible. */
  readonly memory: { readonly before: Memory; readonly pending: Memory; readonly after: Memory }
}

const producer = new URL('../participants/popmq-producer.js', import.meta.url)
/** How much slower than without a delay scheduling may be before `leadMs` must be told. */
const slower = 4
const leastLeadMs = 5_000
const warmUpShare = 0.1
const warmUpMs = 500
const lookMs = 50
const stuckMs = 60_000

/**
 * Sends messages that are due at one moment, and waits until all are visible.
 * @throws MqError `timed_out` when that moment came before all were sent, or they stay away
 */
export async function runDelayed(
  settings: DelayedSettings,
  { client, start }: MeasuredCluster,
): Promise<DelayedRun> {
  const admin = client.admin()
  const [plain, delayed, warm] = [topicName(0), topicName(1), topicName(2)]
  const topics = [plain, delayed, warm]
  for (const topic of topics) await admin.createTopic(topic, { partitions })
  const filler = await start(producer, { name: 'producer', given: { acks: 'disk' } })
  await warmUp(filler, { admin, settings, topic: warm })
  // It also fills what the broker keeps of the newest records: that is no memory of delays.
  const produced = await produce(filler, { ...settings, topic: plain })
  const leadMs =
    settings.leadMs ?? Math.round(leastLeadMs + slower * (produced.toMs - produced.fromMs))
  const before = await readMemory(admin)
  const dueAt = Date.now() + leadMs
  const scheduled = await produce(filler, { ...settings, topic: delayed, deliverAt: dueAt })
  const pending = await readMemory(admin)
  if (pending.delayed - before.delayed !== settings.messages || Date.now() >= dueAt) {
    const took = `${leadMs} ms were too short to send all before they are due (--lead)`
    throw new MqError('timed_out', took)
  }
  const fired = await untilVisible(admin, {
    topic: delayed,
    already: 0,
    messages: settings.messages,
    dueAt,
  })
  const after = await readMemory(admin)
  for (const topic of topics) await admin.deleteTopic(topic)
  return { produced, scheduled, fired, leadMs, memory: { before, pending, after } }
}

/** What runs first runs slowly: some go both ways, uncounted. */
async function warmUp(
  filler: Participant,
  {
    admin,
    settings,
    topic,
  }: { admin: Pick<Admin, 'offsets'>; settings: DelayedSettings; topic: string },
): Promise<void> {
  const messages = Math.ceil(settings.messages * warmUpShare)
  await produce(filler, { ...settings, messages, topic })
  // Due at once when they are late: then they are visible as they come.
  const dueAt = Date.now() + warmUpMs
  await produce(filler, { ...settings, messages, topic, deliverAt: dueAt })
  await untilVisible(admin, { topic, already: messages, messages, dueAt })
}

async function produce(
  filler: Participant,
  { topic, sizeBytes, batch, messages, deliverAt }: DelayedSettings & Delayed,
): Promise<Span> {
  const given: ProduceGiven = {
    ...{ run: 0, topics: [topic], turns: 'batch', keyed: false },
    ...{ sizeBytes, batch, messages },
    ...(deliverAt === undefined ? {} : { deliverAt }),
  }
  const { firstSendMs: fromMs, lastAckMs: toMs } = await filler.call<Produced>('produce', given)
  return { fromMs, toMs }
}

interface Delayed {
  readonly topic: string
  /** When all become visible, in ms since 1970; absent: at once. */
  readonly deliverAt?: number
}

/** From when they were due; others were visible `already`. @throws MqError `corrupt_record` when one was visible before */
async function untilVisible(
  admin: Pick<Admin, 'offsets'>,
  {
    topic,
    already,
    messages,
    dueAt,
  }: { topic: string; already: number; messages: number; dueAt: number },
): Promise<Span> {
  const visible = async (): Promise<number> =>
    (await admin.offsets(topic)).reduce((sum, { high }) => sum + high, 0)
  while (Date.now() < dueAt) {
    const early = (await visible()) - already
    if (early > 0 && Date.now() < dueAt)
      throw new MqError('corrupt_record', `${early} messages were visible before they were due`)
    await setTimeout(Math.min(1_000, Math.max(0, dueAt - Date.now())))
  }
  const fromMs = sharedMs() - (Date.now() - dueAt)
  let before = 0
  let grewMs = sharedMs()
  for (;;) {
    const count = (await visible()) - already
    const toMs = sharedMs()
    if (count >= messages) return { fromMs, toMs }
    if (count > before) grewMs = toMs
    else if (toMs - grewMs > stuckMs)
      throw new MqError('timed_out', `${count} of ${messages} messages were visible, then no more`)
    before = count
    await setTimeout(lookMs)
  }
}
