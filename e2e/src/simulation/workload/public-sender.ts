import type { AckLevel, Client, OutgoingMessage, Producer, SendResult } from '@popmq/client'
import { between, type Clock, sleep } from '@popmq/kit'
import type { SeededRandom } from '@popmq/kit/testing'
import type { HistoryBook, Send } from '../history.ts'
import type { TopicPlan } from './operator.ts'
import type { Settle } from './wire-lane.ts'

export interface PublicSenderParts {
  readonly name: string
  readonly client: Client
  readonly clock: Clock
  readonly random: SeededRandom
  readonly history: HistoryBook
  readonly settle: Settle
  /** The topics that it sends to. */
  readonly topics: readonly TopicPlan[]
}

/** Sends by the public client, as a user would: by key, by partition, by dedup id or by turns. */
export class PublicSender {
  readonly #parts: PublicSenderParts
  readonly #producers: Readonly<Record<'received' | 'disk', Producer>>
  #sent = 0

  constructor(parts: PublicSenderParts) {
    const { client, random } = parts
    const options = {
      deliverWithinMs: between(random, 4_000, 15_000),
      lingerMs: random.next() < 0.5 ? 0 : between(random, 1, 50),
      batchMessages: between(random, 1, 20),
      batchBytes: between(random, 1_024, 8_192),
      requestsInFlight: between(random, 1, 5),
    }
    this.#parts = parts
    this.#producers = {
      received: client.producer({ ...options, acks: 'received' }),
      disk: client.producer({ ...options, acks: 'disk' }),
    }
  }

  async work(isOver: () => boolean): Promise<void> {
    const { clock, random, topics } = this.#parts
    const mostPauseMs = between(random, 40, 300)
    while (!isOver()) {
      await sleep(clock, random.next() * mostPauseMs)
      const plan = topics[between(random, 0, topics.length - 1)]
      if (plan !== undefined) this.#sendSome(plan)
    }
  }

  #sendSome(plan: TopicPlan): void {
    const { random, history, settle, clock } = this.#parts
    const acks = random.next() < 0.25 ? 'received' : 'disk'
    const count = random.next() < 0.1 ? between(random, 20, 60) : between(random, 1, 8)
    const made = Array.from({ length: count }, () => this.#make(plan, acks))
    history.sending(made.map(({ send }) => send))
    const settleAll = (results: readonly SendResult[]): void => {
      for (const [index, result] of results.entries()) {
        const send = made[index]?.send
        if (send !== undefined) settle(send, { ...outcomeOf(result), settledMs: clock.monotonic() })
      }
    }
    const producer = this.#producers[acks]
    void producer.sendBatchSettled(made.map(({ message }) => message)).then(settleAll)
  }

  #make(plan: TopicPlan, acks: AckLevel): { send: Send; message: OutgoingMessage } {
    const { name, clock, random } = this.#parts
    const index = this.#sent
    this.#sent += 1
    const length = random.next() < 0.06 ? between(random, 1_000, 6_000) : between(random, 12, 500)
    const value = `${name}-${index}`.padEnd(length, '.')
    const dedupId = plan.hasDedupIds ? `u${between(random, 0, 90)}` : undefined
    const key =
      !plan.hasDedupIds && random.next() < 0.5 ? `${name}-k${between(random, 0, 5)}` : undefined
    const partition = random.next() < 0.3 ? between(random, 0, plan.partitions - 1) : undefined
    const place = key === undefined ? (partition === undefined ? {} : { partition }) : { key }
    const message = {
      topic: plan.name,
      value,
      ...place,
      ...(dedupId === undefined ? {} : { dedupId }),
    }
    const send: Send = {
      value,
      producer: `${name}/${acks}`,
      index,
      topic: plan.name,
      acks,
      dedupId,
      key,
      invokedMs: clock.monotonic(),
      state: 'pending',
      settledMs: 0,
      error: undefined,
      receipt: undefined,
    }
    return { send, message }
  }
}

function outcomeOf({ receipt, error }: SendResult): Pick<Send, 'state'> & Partial<Send> {
  if (receipt !== undefined) {
    const { partition, offset, appendedAt, duplicate, acks } = receipt
    return { state: 'ok', receipt: { partition, offset, appendedAt, duplicate, level: acks } }
  }
  return { state: error.retriable === 'unknown' ? 'unknown' : 'failed', error: error.name }
}
