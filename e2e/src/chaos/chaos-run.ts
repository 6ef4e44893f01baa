import { type Client } from '@popmq/client'
import { SeededRandom } from '@popmq/kit/testing'
import { Cluster } from '../harness/cluster.ts'
import type { Scene } from '../harness/scenario.ts'
import { until } from '../harness/waiting.ts'
import { AckWatch } from './ack-watch.ts'
import type { Battlefield } from './fault.ts'
import { planFaults } from './fault-plan.ts'
import { readLast } from './last-reading.ts'
import { Ledger } from './ledger.ts'
import { type Campaign, tellDead, torment } from './nemesis.ts'
import type { Problems } from './problems.ts'
import { ReadingOrder } from './reading-order.ts'
import { SteadyProducer } from './steady-producer.ts'
import { SteadyReader } from './steady-reader.ts'

export interface ChaosOptions {
  readonly seed: number
  /** How long faults go on, in ms. */
  readonly lastsMs: number
  readonly brokers: number
  readonly problems: Problems
  readonly write: (line: string) => void
}

const topic = 'chaos'
const partitions = 8
const producerCount = 4
const readerCount = 3
const flushWithinMs = 20_000
const readToEndWithinMs = 15_000
const mostMemoryBytes = 1_073_741_824

/** Starts a cluster, loads it, lets faults happen, and compares what is left with what was promised. */
export async function runChaos(scene: Scene, options: ChaosOptions): Promise<Campaign> {
  const { seed, lastsMs, brokers, problems, write } = options
  const untilMs = performance.now() + lastsMs
  const random = new SeededRandom(seed)
  const plans = planFaults(random.fork(), brokers)
  const cluster = await Cluster.start(scene, { brokers })
  const client = await cluster.connect()
  const led = await createTopic(client)
  const ledger = new Ledger({ producers: producerCount, partitions, problems })
  const acks = new AckWatch()
  const producers: SteadyProducer[] = []
  for (let index = 0; index < producerCount; index += 1) {
    const parts = { index, client: await cluster.connect(), topic, ledger, acks }
    producers.push(new SteadyProducer({ ...parts, random: random.fork() }))
  }
  const readers: SteadyReader[] = []
  for (let index = 0; index < readerCount; index += 1) {
    const name = `reader ${index + 1}`
    const from = Array.from({ length: partitions }, () => 0)
    const order = new ReadingOrder({ reader: name, ledger, problems, from, isLast: false })
    const parts = { name, client: await cluster.connect(), topic, order, problems }
    readers.push(new SteadyReader({ ...parts, random: random.fork() }))
  }
  const field: Battlefield = { cluster, client, topic, led, acks, ledger, problems, readers }
  const campaign = await torment({ field, plans, untilMs, write })
  if (campaign.voidBecause !== undefined) return campaign

  await Promise.all(producers.map((producer) => producer.finish(flushWithinMs)))
  await readToEnd(field)
  tellDead(field)
  const fresh = await cluster.connect({ client: 'the last reader' })
  const bounds = await readLast(fresh, { topic, ledger, problems })
  await weigh(cluster, { problems, write })

  const { sent, acked } = ledger.counts()
  const kept = bounds.reduce((sum, { low, high }) => sum + high - low, 0)
  const resent = producers.reduce((sum, { resentRuns }) => sum + resentRuns, 0)
  write(`${sent} messages sent, ${acked} acknowledged, ${resent} runs sent again`)
  write(`${kept} messages kept, the others purged`)
  return campaign
}

/** @returns broker id → the partitions that it leads */
async function createTopic(client: Client): Promise<Map<number, Set<number>>> {
  const description = await client.admin().createTopic(topic, { partitions })
  const led = new Map<number, Set<number>>()
  for (const { partition, leader } of description.partitions) {
    led.set(leader, (led.get(leader) ?? new Set()).add(partition))
  }
  return led
}

/** Waits until each reader has read what is there, and stops them. */
async function readToEnd({ client, readers, problems }: Battlefield): Promise<void> {
  const bounds = await client.admin().offsets(topic)
  const isAtEnd = ({ next }: SteadyReader): boolean =>
    bounds.every(({ partition, high }) => (next[partition] ?? 0) >= high)
  const what = 'the readers to come to the end'
  try {
    await until(() => readers.every(isAtEnd), { what, withinMs: readToEndWithinMs })
  } catch (error) {
    problems.tell('reader', error instanceof Error ? error.message : String(error))
    for (const reader of readers) {
      if (!isAtEnd(reader))
        problems.tell('reader', `${reader.name} stands at ${reader.next.join()}`)
    }
  }
  await Promise.all(readers.map((reader) => reader.stop()))
}

async function weigh(
  cluster: Cluster,
  { problems, write }: Pick<ChaosOptions, 'problems' | 'write'>,
): Promise<void> {
  const named = cluster.brokers.map((role, index) => ({ name: `broker ${index + 1}`, role }))
  for (const { name, role } of [...named, { name: 'coordinator', role: cluster.coordinator }]) {
    const bytes = await role.metric('process_resident_memory_bytes')
    write(`${name} holds ${Math.round(bytes / 1_048_576)} MiB of memory`)
    if (bytes > mostMemoryBytes) problems.tell('memory', `${name} holds ${bytes} bytes`)
  }
}
