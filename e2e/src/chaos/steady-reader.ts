import { setTimeout as pause } from 'node:timers/promises'
import { type Client, isMqError, type PullConsumer } from '@popmq/client'
import { between } from '@popmq/kit'
import type { SeededRandom } from '@popmq/kit/testing'
import type { Problems } from './problems.ts'
import type { ReadingOrder } from './reading-order.ts'

export interface SteadyReaderParts {
  readonly name: string
  readonly client: Client
  readonly topic: string
  readonly order: ReadingOrder
  readonly problems: Problems
  readonly random: SeededRandom
}

const mostMessages = 1_000
const waitMs = 500
const mostReceives = 400
const pauseAfterErrorMs = 100

/** Reads all partitions all the time; now and then a new consumer goes on at the offsets that were kept. */
export class SteadyReader {
  readonly #parts: SteadyReaderParts
  readonly #stop = new AbortController()
  readonly #ended: Promise<void>

  constructor(parts: SteadyReaderParts) {
    this.#parts = parts
    this.#ended = this.#run()
  }

  get name(): string {
    return this.#parts.name
  }

  /** partition → the offset behind the last message that it took. */
  get next(): readonly number[] {
    return this.#parts.order.next
  }

  async stop(): Promise<void> {
    this.#stop.abort()
    await this.#ended
  }

  async #run(): Promise<void> {
    const { name, client, topic, order, problems, random } = this.#parts
    const { signal } = this.#stop
    while (!signal.aborted) {
      const from = order.next.map((offset, partition) => ({ topic, partition, offset }))
      const partitions = from.map(({ partition }) => ({ topic, partition }))
      try {
        await using consumer = client.pullConsumer({ partitions, from, waitMs })
        await this.#take(consumer, between(random, 1, mostReceives))
      } catch (error) {
        if (!isMqError(error)) throw error
        if (signal.aborted) return
        problems.tell('reader', `${name} was told ${error.name}: ${error.message}`)
        await pause(pauseAfterErrorMs)
      }
    }
  }

  async #take(consumer: PullConsumer, receives: number): Promise<void> {
    const { signal } = this.#stop
    for (let receive = 0; receive < receives && !signal.aborted; receive += 1) {
      this.#parts.order.saw(await consumer.receive({ max: mostMessages, waitMs, signal }))
    }
  }
}
