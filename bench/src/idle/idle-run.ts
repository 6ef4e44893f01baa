import { setTimeout } from 'node:timers/promises'
import type { MeasuredCluster } from '../measured-cluster.ts'
import { topicName } from '../measure.ts'
import type { Participant } from '../participant.ts'
import { shareOf } from '../pop/pop-runs.ts'
import { partitions } from '../workload.ts'
import { type CpuShares, type Footprint, type IdleRoles } from './idle-roles.ts'
import { measureWakeUps, type Polled, type WakeUps } from './poll-wake-ups.ts'
import type { FetchGiven, OpenGiven, PopGiven } from './sides.ts'

export interface IdleSettings {
  /** Clients, each with a connection to the broker (and one to the coordinator). */
  readonly connections: number
  /** Requests that wait at the broker: half are fetches, half are pops. */
  readonly polls: number
  /** How long it idles while its share of a processor is measured. */
  readonly idleMs: number
  /** The same with polls: each is renewed once a minute. */
  readonly pollMs: number
}

export interface IdleRun {
  readonly openedInMs: number
  /** Of the broker: with nobody connected; with half, with all connections; with all fetches, too; with all pops, too. */
  readonly footprints: {
    readonly alone: Footprint
    readonly half: Footprint
    readonly connected: Footprint
    readonly fetching: Footprint
    readonly polling: Footprint
  }
  readonly connectedCpu: CpuShares
  readonly pollingCpu: CpuShares
  readonly fetches: number
  readonly pops: number
  readonly wakeUps: readonly WakeUps[]
}

const connections = new URL('connections.js', import.meta.url)
/** Two sockets each: with room to spare below the 4,096 files that some systems allow. */
const perProcess = 1_900
/** Code that runs for the first time takes memory that is no connection's. */
const warmUpConnections = 64
const calmMs = 2_000
/** Fetches share these: each partition has many that wait. */
const mostFetched = 100

export async function runIdle(
  settings: IdleSettings,
  { cluster, roles }: { cluster: MeasuredCluster; roles: IdleRoles },
): Promise<IdleRun> {
  const [fetched, popped] = polledTopics(settings)
  for (const { topic, partitions: count } of [fetched, popped])
    await cluster.client.admin().createTopic(topic, { partitions: count })
  const participants = await startAll(settings, { cluster, topic: popped.topic })
  const alone = await roles.footprint()
  const { topic } = popped
  const halfCount = Math.floor(settings.connections / 2)
  const halfMs = await openMore(halfCount, { participants, topic })
  const half = await roles.footprint()
  const restMs = await openMore(settings.connections - halfCount, { participants, topic })
  await roles.untilGauge('popmq_broker_connections', settings.connections)
  await setTimeout(Math.min(calmMs, settings.idleMs))
  const connectedCpu = await roles.sharesFor(settings.idleMs)
  const connected = await roles.footprint()
  await startFetches(participants, fetched)
  await roles.untilGauge('popmq_broker_waiters', fetched.polls)
  const fetching = await roles.footprint()
  await startPops(participants, popped)
  await roles.untilGauge('popmq_broker_waiting_pops', popped.polls)
  const polling = await roles.footprint()
  const answered = async (request: string): Promise<number> =>
    answeredOf(await roles.page(), request)
  const brokerCpuMs = (): Promise<number> => roles.brokerCpuMs()
  const wakeUps = await measureWakeUps(
    { fetched, popped },
    { client: cluster.client, participants, answered, brokerCpuMs },
  )
  const pollingCpu = await roles.sharesFor(settings.pollMs)
  const footprints = { alone, half, connected, fetching, polling }
  const counts = { fetches: fetched.polls, pops: popped.polls }
  return { openedInMs: halfMs + restMs, footprints, connectedCpu, pollingCpu, ...counts, wakeUps }
}

function polledTopics({ polls }: IdleSettings): readonly [Polled, Polled] {
  const pops = Math.floor(polls / 2)
  const fetches = polls - pops
  return [
    { topic: topicName(0), partitions: Math.min(mostFetched, fetches), polls: fetches },
    { topic: topicName(1), partitions, polls: pops },
  ]
}

async function startAll(
  settings: IdleSettings,
  { cluster, topic }: { cluster: MeasuredCluster; topic: string },
): Promise<readonly Participant[]> {
  const participants: Participant[] = []
  const count = Math.ceil(settings.connections / perProcess)
  for (let number = 1; number <= count; number += 1)
    participants.push(await cluster.start(connections, { name: `clients-${number}` }))
  for (const each of participants.slice(0, 1)) {
    await each.call('open', { count: warmUpConnections, topic } satisfies OpenGiven)
    await each.call('close', { count: warmUpConnections })
  }
  return participants
}

async function openMore(
  connectionCount: number,
  { participants, topic }: { participants: readonly Participant[]; topic: string },
): Promise<number> {
  const startedMs = performance.now()
  const opening = participants.map((each, index) => {
    const count = shareOf(connectionCount, { of: participants.length, index })
    return each.call('open', { count, topic } satisfies OpenGiven)
  })
  await Promise.all(opening)
  return performance.now() - startedMs
}

async function startFetches(
  participants: readonly Participant[],
  { topic, partitions: count, polls }: Polled,
): Promise<void> {
  let first = 0
  const starting = participants.map((each, index) => {
    const share = shareOf(polls, { of: participants.length, index })
    const given: FetchGiven = { topic, partitions: count, polls: share, first }
    first += share
    return each.call('fetch', given)
  })
  await Promise.all(starting)
}

async function startPops(
  participants: readonly Participant[],
  { topic, polls }: Polled,
): Promise<void> {
  const starting = participants.map((each, index) => {
    const share = shareOf(polls, { of: participants.length, index })
    return each.call('pop', { topic, group: topic, polls: share } satisfies PopGiven)
  })
  await Promise.all(starting)
}

/** Answers of the broker to a kind of request, with an error or without. */
export function answeredOf(page: string, request: string): number {
  const lines = page.matchAll(/^popmq_broker_requests_total\{(.*)\} (\S+)$/gm)
  let sum = 0
  for (const [, labels = '', value] of lines)
    if (labels.split(',').includes(`request="${request}"`)) sum += Number(value)
  return sum
}
