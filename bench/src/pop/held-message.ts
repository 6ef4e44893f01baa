import {
  type Client,
  MqError,
  type PopConsumer,
  type PoppedMessage,
  type Settled,
} from '@popmq/client'
import { sleep, systemClock } from '@popmq/kit'
import { readNumber } from '../tally.ts'
import type { LetGo } from './sides.ts'

const leaseMs = 10_000
/** Often enough that a busy machine does not lose the lease. */
const extendMs = 500

/** A message that one consumer has for long: its lease is extended until it is let go. */
export class HeldMessage {
  readonly #consumer: PopConsumer
  readonly #message: PoppedMessage
  readonly #stopping = new AbortController()
  readonly #extending: Promise<Extended>

  private constructor(consumer: PopConsumer, message: PoppedMessage) {
    this.#consumer = consumer
    this.#message = message
    this.#extending = this.#extend()
  }

  /** @throws MqError `message_not_found` when there is none */
  static async pop(
    client: Client,
    { topic, group }: { topic: string; group: string },
  ): Promise<HeldMessage> {
    const consumer = client.popConsumer({ group, topics: [topic], invisibleMs: leaseMs })
    const [message] = await consumer.receive({ max: 1 })
    if (message === undefined) throw new MqError('message_not_found', 'there was nothing to hold')
    return new HeldMessage(consumer, message)
  }

  /** Acks it. @throws MqError `internal` when it was lost meanwhile */
  async letGo(): Promise<LetGo> {
    this.#stopping.abort()
    const { extensions, last } = await this.#extending
    if (last !== 'extended') throw lost(last)
    const [settled] = await this.#consumer.ack(this.#message)
    if (settled?.result !== 'acked') throw lost(settled?.result)
    await this.#consumer.close()
    return { number: readNumber(this.#message.bytes), extensions }
  }

  /** Until it is let go, or lost. */
  async #extend(): Promise<Extended> {
    const { signal } = this.#stopping
    for (let extensions = 0; ; extensions += 1) {
      const [settled] = await this.#consumer.extend(this.#message)
      const last = settled?.result
      if (last !== 'extended') return { extensions, last }
      await sleep(systemClock, extendMs, signal)
      if (signal.aborted) return { extensions: extensions + 1, last }
    }
  }
}

interface Extended {
  readonly extensions: number
  /** What the last one was answered. */
  readonly last: Settled['result'] | undefined
}

function lost(result: string | undefined): MqError {
  return new MqError('internal', `the held message was lost: its lease was answered ${result}`)
}
