/** A consuming process: one consumer without a group, or one of each of some groups, as a user writes it. */
import { type Client, connect, MqError, type PullConsumer } from '@popmq/client'
import { type Deferred, deferred, present, sleep, systemClock } from '@popmq/kit'
import { sharedMs } from '../monotonic.ts'
import { takePart } from '../participant.ts'
import type { Arrived, ExpectGiven, OpenGiven } from './sides.ts'
import { type ExpectedArrivals, StampedArrivals } from './stamped-arrivals.ts'

const stuckMs = 60_000
let client: Client | undefined
/** By topic. */
const readers = new Map<string, readonly Reader[]>()

takePart({
  connect: async ({ servers }: { servers: string }) => {
    client = await connect(servers, { client: 'popmq-bench-reader' })
    return {}
  },
  /** Reads from now on; answers when the groups have given out all partitions. */
  open: async (given: OpenGiven) => {
    const to = present(client, 'connect comes before open')
    const opened =
      given.groups === undefined
        ? [new Reader(to.pullConsumer({ topics: [given.topic] }))]
        : await Promise.all(given.groups.map((group) => joined(to, { ...given, group })))
    readers.set(given.topic, opened)
    return {}
  },
  /** A run begins; `finish` waits for its end. */
  expect: ({ topic, ...expected }: ExpectGiven) => {
    for (const reader of readersOf(topic)) reader.expect(expected)
    return Promise.resolve({})
  },
  finish: async ({ topic }: { topic: string }): Promise<Arrived> => {
    const latencies = await Promise.all(readersOf(topic).map((reader) => reader.finish()))
    return { latencies }
  },
  /** Leaves the groups, so that they can be deleted. */
  leave: async () => {
    await Promise.all([...readers.values()].flat().map((reader) => reader.close()))
    return {}
  },
})

function readersOf(topic: string): readonly Reader[] {
  return present(readers.get(topic), 'open comes before the first run')
}

async function joined(
  to: Client,
  { topic, partitions, group }: { topic: string; partitions: number; group: string },
): Promise<Reader> {
  const hasAll = deferred()
  let held = 0
  const onAssign = (given: readonly unknown[]): void => {
    held += given.length
    if (held === partitions) hasAll.resolve()
  }
  const reader = new Reader(to.pullConsumer({ group, topics: [topic], onAssign }))
  await Promise.race([hasAll.promise, reader.ended])
  reader.check()
  return reader
}

/** Reads all the time; what comes belongs to the run that was begun last. */
class Reader {
  /** Resolves when it reads no more. */
  readonly ended: Promise<void>
  readonly #consumer: PullConsumer
  #arrivals: StampedArrivals | undefined
  #failure: Error | undefined
  #complete: Deferred<void> = deferred()

  constructor(consumer: PullConsumer) {
    this.#consumer = consumer
    this.ended = this.#read().catch((error: unknown) => {
      this.#failure = error instanceof Error ? error : new Error(String(error))
    })
  }

  /** @throws what reading failed with */
  check(): void {
    if (this.#failure !== undefined) throw this.#failure
  }

  expect(expected: ExpectedArrivals): void {
    this.#arrivals = new StampedArrivals(expected)
    this.#complete = deferred()
  }

  /** @throws MqError `timed_out` when messages stay away, and what reading failed with */
  async finish(): Promise<string> {
    const arrivals = present(this.#arrivals, 'expect comes before finish')
    while (!arrivals.isComplete) {
      const before = arrivals.count
      const stopping = new AbortController()
      const stuck = sleep(systemClock, stuckMs, stopping.signal)
      await Promise.race([this.#complete.promise, this.ended, stuck])
      stopping.abort()
      this.check()
      if (arrivals.count === before)
        throw new MqError('timed_out', `${before} messages came, then no more`)
    }
    return arrivals.encode()
  }

  async close(): Promise<void> {
    await this.#consumer.close()
    await this.ended
  }

  async #read(): Promise<void> {
    for await (const batch of this.#consumer) {
      const receivedMs = sharedMs()
      if (this.#arrivals === undefined || this.#arrivals.isComplete)
        throw new MqError('corrupt_record', 'a message came that nobody had sent')
      this.#arrivals.take(batch, receivedMs)
      if (this.#arrivals.isComplete) this.#complete.resolve()
    }
  }
}
