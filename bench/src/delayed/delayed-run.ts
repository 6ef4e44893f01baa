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
  const [plain, delayed] = [topicName(0), topicName(1)]
  for (const topic of [plain, delayed]) await admin.createTopic(topic, { partitions })
  const filler = await start(producer, { name: 'producer', given: { acks: 'disk' } })
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
  const fired = await untilVisible(admin, { topic: delayed, messages: settings.messages, dueAt })
  const after = await readMemory(admin)
  for (const topic of [plain, delayed]) await admin.deleteTopic(topic)
  return { produced, scheduled, fired, leadMs, memory: { before, pending, after } }
}

async function produce(
  filler: Participant,
  given: DelayedSettings & { readonly topic: string; readonly deliverAt?: number },
): Promise<Span> {
  const { topic, ...settings } = given
  const { firstSendMs: fromMs, lastAckMs: toMs } = await filler.call<Produced>('produce', {
    ...settings,
    ...{ run: 0, topics: [topic], turns: 'batch', keyed: false },
  } satisfies ProduceGiven)
  return { fromMs, toMs }
}

/** From when they were due. @throws MqError `corrupt_record` when one was visible before */
async function untilVisible(
  admin: Pick<Admin, 'offsets'>,
  { topic, messages, dueAt }: { topic: string; messages: number; dueAt: number },
): Promise<Span> {
  const visible = async (): Promise<number> =>
    (await admin.offsets(topic)).reduce((sum, { high }) => sum + high, 0)
  while (Date.now() < dueAt) {
    const early = await visible()
    if (early > 0 && Date.now() < dueAt)
      throw new MqError('corrupt_record', `${early} messages were visible before they were due`)
    await setTimeout(Math.min(1_000, Math.max(0, dueAt - Date.now())))
  }
  const fromMs = sharedMs() - (Date.now() - dueAt)
  let before = 0
  let grewMs = sharedMs()
  for (;;) {
    const count = await visible()
    const toMs = sharedMs()
    if (count >= messages) return { fromMs, toMs }
    if (count > before) grewMs = toMs
    else if (toMs - grewMs > stuckMs)
      throw new MqError('timed_out', `${count} of ${messages} messages were visible, then no more`)
    before = count
    await setTimeout(lookMs)
  }
}
