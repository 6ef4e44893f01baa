/**
 * How soon a waiting pop has a message, on one clock. One message at a time goes around between two consumers of a group,
 * while the one who is to get it waits:
 *    sent      → first      arrival: from the call of `send`
 *    nacked    → second     retry: from the call of `nack`, less its delay
 *    released by second, popped by first with a short lease, left alone
 *              → second     expiry: from the call of that `receive`, less the lease
 */
import {
  type Client,
  MqError,
  type PopConsumer,
  type PoppedMessage,
  type Producer,
  type Settled,
} from '@popmq/client'
import { type Clock, sleep } from '@popmq/kit'

export interface WakeUpGiven {
  readonly topic: string
  readonly group: string
  /** How often the message goes around. */
  readonly rounds: number
  /** Of the nack, and of the lease. */
  readonly delayMs: number
  readonly sizeBytes: number
}

/** In ms, of each round. */
export interface WokenUp {
  /** How long `send` took by itself: an arrival has this in it. */
  readonly send: number[]
  readonly arrival: number[]
  readonly retry: number[]
  readonly expiry: number[]
}

export interface WakeUpDeps {
  readonly clients: WakeUpClients
  readonly clock: Clock
}

/** Each has a connection of its own: what one is answered does not carry what another waits for. */
export interface WakeUpClients {
  readonly sending: Client
  readonly first: Client
  readonly second: Client
}

/** Long enough that a pop waits at the broker; not even, so that rounds do not fall in step with a timer there. */
const leastPauseMs = 5
const pauseSpreadMs = 10
const waitMs = 30_000

/** Sends messages around. @throws MqError `timed_out`, `corrupt_record`, `internal` when one goes another way */
export async function wakeUps(given: WakeUpGiven, deps: WakeUpDeps): Promise<WokenUp> {
  const { topic, group, rounds } = given
  const consumers = { group, topics: [topic], waitMs }
  const { clients } = deps
  await using first = clients.first.popConsumer(consumers)
  await using second = clients.second.popConsumer(consumers)
  await using producer = clients.sending.producer({ acks: 'disk' })
  const woken: WokenUp = { send: [], arrival: [], retry: [], expiry: [] }
  for (let round = 0; round < rounds; round += 1)
    await goAround({ given, deps, first, second, producer }, woken)
  return woken
}

interface Places {
  readonly given: WakeUpGiven
  readonly deps: WakeUpDeps
  readonly first: PopConsumer
  readonly second: PopConsumer
  readonly producer: Producer
}

async function goAround({ given, deps, ...places }: Places, woken: WokenUp): Promise<void> {
  const { topic, delayMs, sizeBytes } = given
  const { first, second, producer } = places
  const { clock } = deps
  const value = new Uint8Array(sizeBytes)

  const arriving = receive(first, clock)
  await pause(clock)
  const sentAt = clock.monotonic()
  const { id } = await producer.send({ topic, value })
  woken.send.push(clock.monotonic() - sentAt)
  const arrived = await arriving
  woken.arrival.push(arrived.atMs - sentAt)
  check(arrived.message, { id, attempt: 1 })

  const retrying = receive(second, clock)
  await pause(clock)
  const nackedAt = clock.monotonic()
  done(await first.nack(arrived.message, { delayMs }), 'retrying')
  const retried = await retrying
  woken.retry.push(retried.atMs - nackedAt - delayMs)
  check(retried.message, { id, attempt: 2 })

  done(await second.release(retried.message), 'released')
  const leasedAt = clock.monotonic()
  const leased = await receive(first, clock, delayMs)
  check(leased.message, { id, attempt: 2 })
  const expired = await receive(second, clock)
  woken.expiry.push(expired.atMs - leasedAt - delayMs)
  check(expired.message, { id, attempt: 3 })
  done(await second.ack(expired.message), 'acked')
}

interface Received {
  readonly message: PoppedMessage
  readonly atMs: number
}

async function receive(
  consumer: PopConsumer,
  clock: Clock,
  invisibleMs?: number,
): Promise<Received> {
  const hidden = invisibleMs === undefined ? {} : { invisibleMs }
  const [message] = await consumer.receive({ max: 1, ...hidden })
  const atMs = clock.monotonic()
  if (message === undefined)
    throw new MqError('timed_out', `a pop waited ${waitMs} ms for a message that was to come`)
  return { message, atMs }
}

/** By its end a pop that was begun before it waits at the broker. */
function pause(clock: Clock): Promise<void> {
  return sleep(clock, leastPauseMs + pauseSpreadMs * Math.random())
}

function check(got: PoppedMessage, expected: { id: string; attempt: number }): void {
  const { id, attempt } = got
  if (id === expected.id && attempt === expected.attempt) return
  const what = `delivery ${attempt} of message ${id} came`
  const wanted = `delivery ${expected.attempt} of ${expected.id}`
  throw new MqError('corrupt_record', `${what}, not ${wanted}`)
}

function done(settled: readonly Settled[], expected: Settled['result']): void {
  const [one] = settled
  if (one?.result !== expected)
    throw new MqError('internal', `a handle was answered ${one?.result}, not ${expected}`)
}
