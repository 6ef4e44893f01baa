/** The producing process of recovery: fills the log, and loads the broker until it is stopped or killed. */
import { type Client, connect, type Producer } from '@popmq/client'
import { present } from '@popmq/kit'
import { takePart } from '../participant.ts'
import { batchesUnderWay } from '../workload.ts'
import { LastAcked } from './last-acked.ts'
import type { Acked, FillGiven } from './sides.ts'

let client: Client | undefined
let load: Load | undefined

takePart({
  connect: async ({ servers }: { servers: string }) => {
    client = await connect(servers, { client: 'popmq-bench-filling' })
    return {}
  },
  /** Sends so many; answers when all are acknowledged. */
  fill: (given: FillGiven & { readonly messages: number }): Promise<Acked> => {
    load = new Load(producer(), given)
    load.start(given.messages)
    return load.end()
  },
  /** Sends until `finish` or `abandon`. */
  start: (given: FillGiven) => {
    load = new Load(producer(), given)
    load.start(Number.POSITIVE_INFINITY)
    return Promise.resolve({})
  },
  /** Waits for what is under way. */
  finish: () => {
    const running = present(load, 'start comes before finish')
    running.stop()
    return running.end()
  },
  /** The broker is gone: what was acknowledged until then. */
  abandon: () => {
    const running = present(load, 'start comes before abandon')
    running.stop()
    return Promise.resolve(running.acked())
  },
})

function producer(): Producer {
  return present(client, 'connect comes first').producer({ acks: 'disk' })
}

/** Batches that take turns with the partitions, as many under way as keep the broker busy. */
class Load {
  readonly #producer: Producer
  readonly #given: FillGiven
  readonly #last = new LastAcked()
  #running: Promise<readonly PromiseSettledResult<void>[]> = Promise.resolve([])
  #left = 0
  #turn = 0
  #count = 0

  constructor(to: Producer, given: FillGiven) {
    this.#producer = to
    this.#given = given
  }

  start(messages: number): void {
    this.#left = messages
    const lanes = Array.from({ length: batchesUnderWay(this.#given) }, () => this.#lane())
    this.#running = Promise.allSettled(lanes)
  }

  stop(): void {
    this.#left = 0
  }

  /** @throws what a batch failed with */
  async end(): Promise<Acked> {
    for (const lane of await this.#running) if (lane.status === 'rejected') throw lane.reason
    return this.acked()
  }

  acked(): Acked {
    return { messages: this.#count, last: this.#last.all() }
  }

  async #lane(): Promise<void> {
    const { topic, partitions, batch, sizeBytes } = this.#given
    const value = new Uint8Array(sizeBytes).fill(0x61)
    while (this.#left > 0) {
      const partition = this.#turn % partitions
      const length = Math.min(batch, this.#left)
      this.#turn += 1
      this.#left -= length
      const messages = Array.from({ length }, () => ({ topic, partition, value }))
      this.#last.addAll(await this.#producer.sendBatch(messages))
      this.#count += length
    }
  }
}
