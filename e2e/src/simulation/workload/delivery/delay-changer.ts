import { between, sleep } from '@popmq/kit'
import type { SeededRandom } from '@popmq/kit/testing'
import { delayChange, isMqError } from '@popmq/protocol'
import type { DelayChange, DeliveryBook } from '../../delivery-history.ts'
import type { WireClient } from '../wire-client.ts'

export interface DelayChangerParts {
  readonly client: WireClient
  readonly random: SeededRandom
  readonly book: DeliveryBook
}

/** A delayed message that is stored. */
export interface Delayed {
  readonly number: number
  /** The broker's node. */
  readonly node: string
}

const mostTries = 6
const timeoutMs = 1_500

/** Cancels delayed messages, or moves them to another time. */
export class DelayChanger {
  readonly #parts: DelayChangerParts

  constructor(parts: DelayChangerParts) {
    this.#parts = parts
  }

  /** One of a few things, at a time around that at which the message is due. */
  async meddle(delayed: Delayed, delayMs: number): Promise<void> {
    const { client, random } = this.#parts
    const { clock } = client.parts
    const drawn = random.next()
    if (drawn > 0.5) return
    await sleep(clock, random.next() * delayMs * 1.2)
    if (drawn < 0.25) return this.insist(delayed, undefined)
    await this.insist(delayed, clock.now() + between(random, -500, 3_000))
    if (drawn < 0.3) await this.insist(delayed, undefined)
  }

  /** Asks until it is answered. */
  async insist(delayed: Delayed, deliverAt: number | undefined): Promise<void> {
    const { client, random } = this.#parts
    for (let tries = 0; tries < mostTries; tries += 1) {
      try {
        return await this.once(delayed, deliverAt)
      } catch (error) {
        if (!isMqError(error)) throw error
        if (error.retriable === 'no') return
        await sleep(client.parts.clock, 30 + random.next() * 300)
      }
    }
  }

  async once({ number, node }: Delayed, deliverAt: number | undefined): Promise<void> {
    const { client, book } = this.#parts
    const askedMs = client.parts.clock.monotonic()
    const change: DelayChange = {
      node,
      number,
      deliverAt,
      askedMs,
      answeredMs: Number.POSITIVE_INFINITY,
      result: undefined,
    }
    book.delayChanges.push(change)
    const caller = await client.caller(`${node}:7710`)
    const asked = deliverAt === undefined ? {} : { deliverAt }
    const { reply } = await caller.call(delayChange, { number, ...asked }, { timeoutMs })
    change.answeredMs = client.parts.clock.monotonic()
    change.result = reply.result
  }
}
