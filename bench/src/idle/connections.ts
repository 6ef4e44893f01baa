/** A process with many clients that idle, or wait for messages: each through the public client, with sockets of its own. */
import { type Client, connect, isMqError, type Message, MqError } from '@popmq/client'
import { present } from '@popmq/kit'
import { sharedMs } from '../monotonic.ts'
import { takePart } from '../participant.ts'
import { readNumber } from '../tally.ts'
import type { FetchGiven, OpenGiven, PopGiven, Woken } from './sides.ts'

/** Clients that connect at once. */
const openedAtOnce = 32
/** Polls are renewed by the client as often as the broker lets go of them. */
const holdMs = 60_000
const waitMs = 3_600_000
const settleMs = 60_000

let servers = ''
const clients: Client[] = []
let failure: MqError | undefined
let woken = nobody()

takePart({
  connect: (given: { servers: string }) => {
    servers = given.servers
    return Promise.resolve({})
  },
  open: async (given: OpenGiven) => {
    let left = given.count
    const lane = async (): Promise<void> => {
      while (left > 0) {
        left -= 1
        await open(given.topic)
      }
    }
    await Promise.all(Array.from({ length: openedAtOnce }, lane))
    return {}
  },
  /** Closes the clients opened last. */
  close: async ({ count }: { count: number }) => {
    await Promise.all(clients.splice(clients.length - count).map((client) => client.close()))
    return {}
  },
  fetch: (given: FetchGiven) => {
    for (let poll = 0; poll < given.polls; poll += 1) fetchOne(given, poll)
    return Promise.resolve({})
  },
  pop: (given: PopGiven) => {
    for (const [index, client] of clients.entries()) {
      const polls = countOf(given.polls, index)
      if (polls > 0) popSome(client, given, polls)
    }
    return Promise.resolve({})
  },
  woken: (): Promise<Woken> => {
    if (failure !== undefined) throw failure
    const told = woken
    woken = nobody()
    return Promise.resolve(told)
  },
})

async function open(topic: string): Promise<void> {
  // Thousands may come at once: what waits in line is not lost.
  const client = await connect(servers, { client: 'popmq-bench-idle', connectWithinMs: 60_000 })
  await client.admin().offsets(topic)
  clients.push(client)
}

/** Polls of the client at `index`: all have as many, or one more. */
function countOf(polls: number, index: number): number {
  return Math.floor(polls / clients.length) + (index < polls % clients.length ? 1 : 0)
}

function fetchOne({ topic, partitions, first }: FetchGiven, poll: number): void {
  const client = present(clients[poll % clients.length], 'clients were opened')
  const place = { topic, partition: (first + poll) % partitions }
  const consumer = client.pullConsumer({ partitions: [place], from: 0, waitMs: holdMs })
  const wait = async (): Promise<void> => {
    for (;;) for (const message of await consumer.receive({ max: 1, waitMs })) received(message)
  }
  void wait().catch(failed)
}

/** The polls of a client are those of one consumer, all at once. */
function popSome(client: Client, { topic, group }: PopGiven, polls: number): void {
  const consumer = client.popConsumer({ group, topics: [topic], settleWithinMs: settleMs })
  const wait = async (): Promise<void> => {
    for (;;) {
      const messages = await consumer.receive({ max: 1, waitMs })
      for (const message of messages) received(message)
      const settled = await consumer.ack(messages)
      const wrong = settled.find(({ result }) => result !== 'acked')
      if (wrong !== undefined) throw new MqError('internal', `an ack was answered ${wrong.result}`)
    }
  }
  for (let poll = 0; poll < polls; poll += 1) void wait().catch(failed)
}

function received({ bytes }: Pick<Message, 'bytes'>): void {
  const number = readNumber(bytes)
  woken.count += 1
  woken.lastMs = sharedMs()
  woken.byNumber[number] = (woken.byNumber[number] ?? 0) + 1
}

function failed(error: unknown): void {
  failure ??= isMqError(error) ? error : new MqError('internal', String(error))
}

function nobody(): { count: number; lastMs: number; byNumber: Record<number, number> } {
  return { count: 0, lastMs: 0, byNumber: {} }
}
