import { setTimeout as pause } from 'node:timers/promises'
import { type Client, isMqError, type Producer, type SendResult } from '@popmq/client'
import { between } from '@popmq/kit'
import type { SeededRandom } from '@popmq/kit/testing'
import type { AckWatch } from './ack-watch.ts'
import type { Ledger } from './ledger.ts'
import { type MessageName, sentMessage } from './sent-message.ts'

export interface SteadyProducerParts {
  /** From 0. */
  readonly index: number
  readonly client: Client
  readonly topic: string
  readonly ledger: Ledger
  readonly acks: AckWatch
  readonly random: SeededRandom
}

const mostUnsettled = 400
const mostMessages = 20
const mostPauseMs = 30

/** Sends small keyed batches until it is stopped, several under way at a time. */
export class SteadyProducer {
  readonly #parts: SteadyProducerParts
  readonly #producer: Producer
  readonly #stop = new AbortController()
  readonly #ended: Promise<void>
  #unsettled = 0

  constructor(parts: SteadyProducerParts) {
    this.#parts = parts
    this.#producer = parts.client.producer({ acks: 'disk' })
    this.#ended = this.#run()
  }

  /** Sends no more, and waits until everything is settled, at most `withinMs`. */
  async finish(withinMs: number): Promise<void> {
    this.#stop.abort()
    await this.#ended
    await this.#producer.close({ withinMs })
  }

  /** Runs that were sent again so far. */
  get resentRuns(): number {
    return this.#producer.stats().resentRuns
  }

  async #run(): Promise<void> {
    const { random } = this.#parts
    while (!this.#stop.signal.aborted) {
      await pause(between(random, 1, mostPauseMs))
      if (this.#unsettled < mostUnsettled) void this.#send(between(random, 1, mostMessages))
    }
  }

  async #send(count: number): Promise<void> {
    const { index, topic, ledger } = this.#parts
    const names = Array.from({ length: count }, () => ledger.sending(index))
    this.#unsettled += count
    try {
      const messages = names.map((name) => sentMessage(topic, name))
      const results = await this.#producer.sendBatchSettled(messages)
      for (const [at, name] of names.entries()) this.#settle(name, results[at])
    } catch (error) {
      if (!isMqError(error)) throw error
      for (const name of names) ledger.failed(name, 'unknown')
    } finally {
      this.#unsettled -= count
    }
  }

  #settle(name: MessageName, result: SendResult | undefined): void {
    const { ledger, acks } = this.#parts
    if (result?.receipt !== undefined) {
      ledger.acked(name, result.receipt)
      acks.acked(result.receipt.partition)
      return
    }
    const isUnknown = result === undefined || result.error.retriable === 'unknown'
    ledger.failed(name, isUnknown ? 'unknown' : 'refused')
  }
}
