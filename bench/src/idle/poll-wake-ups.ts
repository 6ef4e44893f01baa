/**
 * Wakes polls that wait, and looks who was woken: a message of a partition wakes every fetch that waits for it and no
 * other; a message of a topic wakes one pop.
 */
import { setTimeout } from 'node:timers/promises'
import { type Client, MqError, type Producer } from '@popmq/client'
import { type Latency, latencyOf } from '../latency.ts'
import { sharedMs } from '../monotonic.ts'
import type { Participant } from '../participant.ts'
import { leastSizeBytes } from '../workload.ts'
import { rounded } from '../summary.ts'
import { writeNumber } from '../tally.ts'
import type { Woken } from './sides.ts'

export interface WakeUps {
  readonly what: string
  /** Polls that were woken each time. */
  readonly woken: number
  /** From the call of `send` until the last of them had its message. */
  readonly latency: Latency
  /** Requests that the broker answered for a message, in all rounds: others than those woken would count too. */
  readonly answered: number
  /** Processor time of the broker until all were woken, in µs for each; whatever else it does counts too. */
  readonly brokerUs: number
}

export interface WakingDeps {
  readonly client: Client
  readonly participants: readonly Participant[]
  /** How many requests of a kind the broker has answered. */
  readonly answered: (request: 'fetch' | 'pop') => Promise<number>
  /** What the broker has spent so far. */
  readonly brokerCpuMs: () => Promise<number>
}

export interface Polled {
  readonly topic: string
  readonly partitions: number
  readonly polls: number
}

const rounds = 10
/** Nobody else is woken within this time. */
const calmMs = 200
const lookMs = 10
const stuckMs = 60_000
/** Messages that wake pops at once. */
const mostAtOnce = 5_000

/** @throws MqError `internal` when others are woken, `timed_out` when too few are */
export async function measureWakeUps(
  { fetched, popped }: { fetched: Polled; popped: Polled },
  deps: WakingDeps,
): Promise<readonly WakeUps[]> {
  await using producer = deps.client.producer({ acks: 'disk' })
  const parts = { ...deps, producer }
  const fetchAll = Array.from({ length: fetched.partitions }, (_, partition) => partition)
  const popAll = Math.min(mostAtOnce, popped.polls)
  return [
    await wakeRounds('fetches of one partition', parts, {
      request: 'fetch',
      rounds: Math.min(rounds, fetched.partitions),
      round: (round) => [toPartition(fetched, round)],
    }),
    await wakeRounds('fetches of all partitions', parts, {
      request: 'fetch',
      rounds: 1,
      round: () => fetchAll.map((partition) => toPartition(fetched, partition)),
    }),
    await wakeRounds('one pop', parts, {
      request: 'pop',
      rounds,
      round: () => [{ topic: popped.topic, wakes: 1 }],
    }),
    await wakeRounds('many pops', parts, {
      request: 'pop',
      rounds: 1,
      round: () => Array.from({ length: popAll }, () => ({ topic: popped.topic, wakes: 1 })),
    }),
  ]
}

interface Waking {
  readonly topic: string
  readonly partition?: number
  /** Polls that are to receive it. */
  readonly wakes: number
}

/** Poll n waits for partition n, from the first on again behind the last. */
function toPartition({ topic, partitions, polls }: Polled, partition: number): Waking {
  const wakes = Math.floor(polls / partitions) + (partition < polls % partitions ? 1 : 0)
  return { topic, partition, wakes }
}

async function wakeRounds(
  what: string,
  { producer, participants, answered, brokerCpuMs }: WakingDeps & { producer: Producer },
  of: {
    readonly request: 'fetch' | 'pop'
    readonly rounds: number
    readonly round: (round: number) => readonly Waking[]
  },
): Promise<WakeUps> {
  const before = await answered(of.request)
  const tookMs: number[] = []
  let count = 0
  let cpuMs = 0
  for (let round = 0; round < of.rounds; round += 1) {
    const wakings = of.round(round)
    count = wakings.reduce((sum, { wakes }) => sum + wakes, 0)
    const messages = wakings.map(({ topic, partition }, number) => {
      const value = new Uint8Array(leastSizeBytes)
      writeNumber(value, number)
      return { topic, value, ...(partition === undefined ? {} : { partition }) }
    })
    const spentMs = await brokerCpuMs()
    const sentMs = sharedMs()
    await producer.sendBatch(messages)
    const counted = await countWoken(participants, { what, count })
    cpuMs += (await brokerCpuMs()) - spentMs
    const { lastMs } = await checkWoken(participants, { what, wakings, counted })
    tookMs.push(lastMs - sentMs)
  }
  return {
    what,
    woken: count,
    latency: latencyOf(tookMs),
    brokerUs: rounded((1_000 * cpuMs) / (count * of.rounds)),
    answered: (await answered(of.request)) - before,
  }
}

interface Counted {
  count: number
  lastMs: number
  readonly byNumber: Map<number, number>
}

/** Looks until so many polls were woken. @throws MqError `timed_out` */
async function countWoken(
  participants: readonly Participant[],
  { what, count }: { what: string; count: number },
): Promise<Counted> {
  const counted: Counted = { count: 0, lastMs: 0, byNumber: new Map() }
  const untilMs = sharedMs() + stuckMs
  for (;;) {
    await look(participants, counted)
    if (counted.count >= count) return counted
    if (sharedMs() > untilMs)
      throw new MqError('timed_out', `${what}: ${counted.count} of ${count} polls were woken`)
    await setTimeout(lookMs)
  }
}

/** Each message has woken as many as it was to, and wakes nobody else a while later. @throws MqError `internal` */
async function checkWoken(
  participants: readonly Participant[],
  { what, wakings, counted }: { what: string; wakings: readonly Waking[]; counted: Counted },
): Promise<Pick<Counted, 'lastMs'>> {
  const { lastMs, byNumber } = counted
  await setTimeout(calmMs)
  await look(participants, counted)
  for (const [number, { wakes }] of wakings.entries()) {
    const times = byNumber.get(number) ?? 0
    if (times === wakes) continue
    const told = `message ${number} was received ${times} times, not ${wakes}`
    throw new MqError('internal', `${what}: ${told}`)
  }
  return { lastMs }
}

async function look(participants: readonly Participant[], counted: Counted): Promise<void> {
  const all = await Promise.all(participants.map((each) => each.call<Woken>('woken', {})))
  for (const { count, lastMs, byNumber } of all) {
    counted.count += count
    counted.lastMs = Math.max(counted.lastMs, lastMs)
    for (const [number, times] of Object.entries(byNumber))
      counted.byNumber.set(Number(number), (counted.byNumber.get(Number(number)) ?? 0) + times)
  }
}
