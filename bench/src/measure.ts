import { connect } from '@popmq/client'
import type { MeasuredPath } from './path.ts'
import type { PopmqPath } from './popmq-path.ts'
import { partitions, type Settings, topicCount } from './workload.ts'

/** One timed run of one path. */
export interface Run {
  readonly path: 'popmq' | 'stripped' | 'one topic' | 'many topics'
  readonly run: number
  readonly seconds: number
  readonly messagesPerSecond: number
}

/** A producing or end-to-end measurement: `run` numbers it among all of this path. */
export async function measure(path: MeasuredPath, run: number, settings: Settings): Promise<Run> {
  const { workload, messages, sizeBytes } = settings
  const topic = topicName(run)
  const given = { ...settings, run, topics: [topic], turns: 'batch' } as const
  if (workload === 'produce') {
    const { firstSendMs, lastAckMs } = await path.produce(given)
    return rate(path.name, run, { messages, ms: lastAckMs - firstSendMs })
  }
  await path.startConsumer({ run, topic, messages, sizeBytes, partitions })
  const [{ firstSendMs }, { lastReceiveMs }] = await Promise.all([
    path.produce(given),
    path.finishConsumer(),
  ])
  return rate(path.name, run, { messages, ms: lastReceiveMs - firstSendMs })
}

/** The workload many-topics: to one topic, or to all of them in turn. */
export async function measureTopics(
  path: MeasuredPath,
  run: number,
  {
    settings,
    topics,
    turns,
  }: { settings: Settings; topics: readonly string[]; turns: 'message' | 'batch' },
): Promise<Run> {
  const { firstSendMs, lastAckMs } = await path.produce({ ...settings, run, topics, turns })
  const name = topics.length === 1 ? 'one topic' : 'many topics'
  return rate(name, run, { messages: settings.messages, ms: lastAckMs - firstSendMs })
}

function rate(
  path: Run['path'],
  run: number,
  { messages, ms }: { messages: number; ms: number },
): Run {
  const seconds = Math.round(ms) / 1_000
  return { path, run, seconds, messagesPerSecond: Math.round(messages / (ms / 1_000)) }
}

/** Each process of a measurement has topics of its own, so that a running cluster can be measured again. */
const prefix = `bench-${process.pid}-${Date.now()}`

export function topicName(run: number): string {
  return `${prefix}-${run}`
}

export function manyTopicNames(): readonly string[] {
  return Array.from({ length: topicCount }, (_, index) => `${prefix}-many-${index}`)
}

const creationsUnderWay = 8

/** Makes topics, and returns what deletes them again. */
export async function createTopics(
  path: PopmqPath,
  names: readonly string[],
): Promise<() => Promise<void>> {
  await eachTopic(path.servers, names, (admin, name) => admin.createTopic(name, { partitions }))
  return () => eachTopic(path.servers, names, (admin, name) => admin.deleteTopic(name))
}

async function eachTopic(
  servers: string,
  names: readonly string[],
  act: (
    admin: ReturnType<Awaited<ReturnType<typeof connect>>['admin']>,
    name: string,
  ) => Promise<unknown>,
): Promise<void> {
  const client = await connect(servers, { client: 'popmq-bench' })
  try {
    const left = names.values()
    const lane = async (): Promise<void> => {
      for (const name of left) await act(client.admin(), name)
    }
    await Promise.all(Array.from({ length: creationsUnderWay }, lane))
  } finally {
    await client.close()
  }
}
