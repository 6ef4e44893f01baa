/** A process with a peer's client: it produces, consumes or pops, as it is told. */
import { type Deferred, deferred, present } from '@popmq/kit'
import { sharedMs } from '../monotonic.ts'
import { takePart } from '../participant.ts'
import type { Consumed, Produced } from '../participants/sides.ts'
import { AckedNumbers } from '../pop/acked-numbers.ts'
import type { Popped } from '../pop/sides.ts'
import { readNumber } from '../tally.ts'
import { Arrivals } from './arrivals.ts'
import { connectPeer } from './clients/connect-peer.ts'
import type { PeerClient, PeerRun, Popping } from './clients/peer-client.ts'
import { sendAll } from './sending.ts'
import type { ConnectGiven, PeerPopGiven, ReadGiven, SendGiven } from './sides.ts'

let connected: PeerClient | undefined
let reading: Deferred<Consumed> | undefined
let popping: PeerPopping | undefined
const client = (): PeerClient => present(connected, 'connect comes first')
const isOpen = (): PeerPopping => present(popping, 'openPop comes first')

takePart({
  connect: async (given: ConnectGiven) => {
    connected = await connectPeer(given.client, given.address)
    return {}
  },
  create: async ({ run }: { run: PeerRun }) => {
    await client().create(run)
    return {}
  },
  remove: async ({ run }: { run: PeerRun }) => {
    await client().remove(run)
    return {}
  },
  produce: async (given: SendGiven): Promise<Produced> => {
    const firstSendMs = sharedMs()
    await sendAll(client(), given)
    return { firstSendMs, lastAckMs: sharedMs() }
  },
  /** Starts to read; `finish` waits for the end. */
  start: (given: ReadGiven) => {
    const finished = deferred<Consumed>()
    reading = finished
    read(given).then(finished.resolve, finished.reject)
    return Promise.resolve({})
  },
  finish: () => present(reading, 'start comes before finish').promise,
  /** Connects the consumers of a group; `startPop` lets them pop. */
  openPop: async (given: PeerPopGiven) => {
    popping = await PeerPopping.open(client(), given)
    return {}
  },
  startPop: async () => {
    await isOpen().start()
    return {}
  },
  acked: () => Promise.resolve({ count: isOpen().ackedCount() }),
  finishPop: (): Promise<Popped> => isOpen().finish(),
  unacked: async ({ run }: { run: PeerRun }) => ({ count: await client().unacked(run) }),
})

async function read({ run, messages, sizeBytes, isOrdered }: ReadGiven): Promise<Consumed> {
  const arrivals = new Arrivals({ messages, sizeBytes, streams: run.streams, isOrdered })
  let lastReceiveMs = 0
  const take = (value: Uint8Array, stream: number): boolean => {
    if (!arrivals.take(value, stream)) return false
    lastReceiveMs = sharedMs()
    return true
  }
  await client().read(run, { sizeBytes, take })
  return { lastReceiveMs }
}

/** The consumers of this process, and what they acked. */
class PeerPopping {
  readonly #acked: AckedNumbers
  #consumers: Popping | undefined
  #failure: Error | undefined
  #firstPopMs = 0
  #lastAckMs = 0

  private constructor(messages: number) {
    this.#acked = new AckedNumbers(messages)
  }

  static async open(to: PeerClient, given: PeerPopGiven): Promise<PeerPopping> {
    const popping = new PeerPopping(given.messages)
    const failed = (error: unknown): void => {
      popping.#failure ??= error instanceof Error ? error : new Error(String(error))
    }
    const acked = (values: readonly Uint8Array[]): void => {
      try {
        for (const value of values) popping.#acked.add(readNumber(value))
        popping.#lastAckMs = sharedMs()
      } catch (error) {
        failed(error)
      }
    }
    popping.#consumers = await to.openPop({ ...given, acked, failed })
    return popping
  }

  async start(): Promise<void> {
    this.#firstPopMs = sharedMs()
    this.#lastAckMs = this.#firstPopMs
    await this.#consumers?.start()
  }

  /** @throws what a consumer threw */
  ackedCount(): number {
    if (this.#failure !== undefined) throw this.#failure
    return this.#acked.count
  }

  async finish(): Promise<Popped> {
    await this.#consumers?.stop()
    if (this.#failure !== undefined) throw this.#failure
    return {
      firstPopMs: this.#firstPopMs,
      lastAckMs: this.#lastAckMs,
      acked: this.#acked.encode(),
      notAcked: 0,
    }
  }
}
