import { setTimeout as pause } from 'node:timers/promises'
import type { Client } from '@popmq/client'
import { SeededRandom } from '@popmq/kit/testing'
import { Cluster } from '../harness/cluster.ts'
import type { Scene } from '../harness/scenario.ts'
import { until } from '../harness/waiting.ts'
import { zookeeperServer } from '../harness/zookeeper.ts'
import { memberSeat, processSeat, type Seat } from './seat.ts'
import { StormRecord } from './storm-record.ts'

export interface StormOptions {
  readonly seconds: number
  readonly partitions: number
  /** Members that come and go; a quarter of them at least stays. */
  readonly members: number
  readonly seed: number
  /** Each member a process of its own. */
  readonly isWithProcesses: boolean
  /** The registry is a ZooKeeper. */
  readonly isOnZookeeper: boolean
}

const place = { topic: 'storm', group: 'storm' }
const changeEveryMs = 1_000
const lookEveryMs = 150
const sendEveryMs = 50
const messagesPerSend = 50

/** Members join and leave one a second, under load; then all is read to the end. */
export async function runStorm(
  scene: Scene,
  options: StormOptions,
): Promise<{ record: StormRecord; sent: number }> {
  const zookeeper = options.isOnZookeeper ? (await zookeeperServer(scene)).hosts : undefined
  const cluster = await Cluster.start(scene, zookeeper === undefined ? {} : { zookeeper })
  await cluster.done('topic', 'create', place.topic, '--partitions', String(options.partitions))
  const client = await cluster.connect()
  const record = new StormRecord()
  const ending = new AbortController()
  const load = { count: 0 }
  const [seats] = await Promise.all([
    comeAndGo(cluster, record, options).finally(() => ending.abort()),
    look(client, record, ending.signal),
    send(client, load, ending.signal),
  ])
  await until(async () => (await lagOf(client, options.partitions)) === 0, {
    what: 'everything to be committed',
    everyMs: 200,
  })
  await lookOnce(client, record)
  await Promise.all(seats.map((seat) => seat.leave()))
  return { record, sent: load.count }
}

/** @returns those who are members at the end */
async function comeAndGo(
  cluster: Cluster,
  record: StormRecord,
  { seconds, members, seed, isWithProcesses }: StormOptions,
): Promise<Seat[]> {
  const random = new SeededRandom(seed)
  const join = async (): Promise<Seat> =>
    isWithProcesses
      ? processSeat(cluster, place, record.ledger)
      : memberSeat(() => cluster.connect(), place, record.ledger)
  const seats = new Map<number, Seat>()
  for (let seat = 0; seat < members; seat += 2) seats.set(seat, await join())
  const leaving = new Set<Promise<void>>()
  const failures: unknown[] = []
  for (let second = 0; second < seconds && failures.length === 0; second += 1) {
    const next = pause(changeEveryMs)
    const number = Math.floor(random.next() * members)
    const there = seats.get(number)
    if (there === undefined) seats.set(number, await join())
    else if (seats.size > members / 4) {
      seats.delete(number)
      const left = there
        .leave()
        .catch((error: unknown) => void failures.push(error))
        .finally(() => leaving.delete(left))
      leaving.add(left)
    }
    await next
  }
  await Promise.all(leaving)
  if (failures.length > 0) throw new AggregateError(failures, 'a member could not leave')
  return [...seats.values()]
}

async function look(client: Client, record: StormRecord, ended: AbortSignal): Promise<void> {
  while (!ended.aborted) {
    await lookOnce(client, record)
    await pause(lookEveryMs)
  }
}

async function lookOnce(client: Client, record: StormRecord): Promise<void> {
  const groups = client.admin().groups()
  if ((await groups.list()).length === 0) return
  record.addMembers(await groups.members(place.group))
  record.addRebalances(await groups.rebalances(place.group, { limit: 100 }))
}

async function send(client: Client, load: { count: number }, ended: AbortSignal): Promise<void> {
  const producer = client.producer()
  while (!ended.aborted) {
    const next = pause(sendEveryMs)
    const ids = Array.from({ length: messagesPerSend }, (_, index) => load.count + index)
    await producer.sendBatch(ids.map((id) => ({ topic: place.topic, key: `${id}`, value: { id } })))
    load.count += messagesPerSend
    await next
  }
}

async function lagOf(client: Client, partitions: number): Promise<number> {
  const lag = await client.admin().groups().lag(place.group)
  if (lag.length < partitions) return Number.POSITIVE_INFINITY
  return lag.reduce((sum, { messages }) => sum + messages, 0)
}
