import { between, sleep } from '@popmq/kit'
import type { SeededRandom } from '@popmq/kit/testing'
import { type AckLevel } from '@popmq/protocol'
import type { DeliveryBook } from '../../delivery-history.ts'
import { type HistoryBook, partitionName, type Send } from '../../history.ts'
import type { DeliveryPlan } from '../../swarm.ts'
import type { WireClient } from '../wire-client.ts'
import type { Settle } from '../wire-lane.ts'
import { WireProducer } from '../wire-producer.ts'
import { type Delayed, DelayChanger } from './delay-changer.ts'

export interface WorkSenderParts {
  readonly name: string
  readonly client: WireClient
  readonly random: SeededRandom
  readonly plan: DeliveryPlan
  readonly history: HistoryBook
  readonly book: DeliveryBook
  readonly topic: { readonly name: string; readonly id: number }
  readonly settle: Settle
  readonly defect: (what: string) => void
}

/** Sends what groups pop; some of it is delayed, and some of that is cancelled or moved. */
export class WorkSender {
  readonly #parts: WorkSenderParts
  readonly #producers: Readonly<Record<'received' | 'disk', WireProducer>>
  readonly #changer: DelayChanger
  /** Changes of delayed messages under way. */
  readonly #changes = new Set<Promise<void>>()
  #sent = 0

  constructor(parts: WorkSenderParts) {
    const { client, random, book } = parts
    const deliverWithinMs = between(random, 4_000, 15_000)
    this.#parts = parts
    this.#changer = new DelayChanger({ client, random: random.fork(), book })
    const make = (acks: AckLevel): WireProducer =>
      new WireProducer({
        client,
        acks,
        deliverWithinMs,
        settle: (send, outcome) => {
          parts.settle(send, outcome)
          this.#stored(send)
        },
      })
    this.#producers = { received: make('received'), disk: make('disk') }
  }

  async work(isOver: () => boolean): Promise<void> {
    const { client, random, plan } = this.#parts
    while (!isOver()) {
      await sleep(client.parts.clock, -Math.log(1 - random.next()) * plan.sendEveryMs)
      await this.#sendSome()
    }
  }

  /** Resolves when nothing is being changed. */
  async ended(): Promise<void> {
    while (this.#changes.size > 0) await Promise.all(this.#changes)
  }

  async #sendSome(): Promise<void> {
    const { random, history, plan, topic } = this.#parts
    const partition = between(random, 0, plan.partitions - 1)
    const acks = random.next() < 0.15 ? 'received' : 'disk'
    const isDelayed = random.next() < plan.delayedShare
    const count = random.next() < 0.6 ? 1 : between(random, 2, 4)
    const sends = Array.from({ length: count }, () => this.#make(acks, isDelayed))
    history.sending(sends)
    await this.#producers[acks].send(topic, partition, sends)
  }

  #make(acks: AckLevel, isDelayed: boolean): Send {
    const { name, client, random, topic } = this.#parts
    const index = this.#sent
    this.#sent += 1
    const length = random.next() < 0.04 ? between(random, 1_000, 4_000) : between(random, 12, 200)
    return {
      value: `${name}-${index}`.padEnd(length, '.'),
      producer: `${name}/${acks}`,
      index,
      topic: topic.name,
      acks,
      dedupId: undefined,
      key: random.next() < 0.5 ? `k${between(random, 0, 9)}` : undefined,
      invokedMs: client.parts.clock.monotonic(),
      ...(isDelayed ? { delay: this.#delay() } : {}),
      state: 'pending',
      settledMs: 0,
      error: undefined,
      receipt: undefined,
    }
  }

  #delay(): NonNullable<Send['delay']> {
    const { random, client } = this.#parts
    const delayMs = random.next() < 0.7 ? between(random, 50, 1_500) : between(random, 1_500, 5_000)
    if (random.next() < 0.75) return { delayMs }
    return { deliverAt: client.parts.clock.now() + delayMs }
  }

  /** What becomes of a delayed message then. */
  #stored({ delay, receipt, state }: Send): void {
    const { book, topic, client } = this.#parts
    if (delay === undefined || state !== 'ok' || receipt === undefined) return
    const node = book.leaders.get(partitionName(topic.id, receipt.partition))
    if (node === undefined) return
    const delayMs =
      'delayMs' in delay ? delay.delayMs : Math.max(0, delay.deliverAt - client.parts.clock.now())
    const change = this.#meddle({ number: receipt.offset, node }, Math.min(delayMs, 5_000))
    this.#changes.add(change)
    void change.then(() => this.#changes.delete(change))
  }

  /** Never rejects. */
  async #meddle(delayed: Delayed, delayMs: number): Promise<void> {
    try {
      await this.#changer.meddle(delayed, delayMs)
    } catch (error) {
      this.#parts.defect(`changing a delayed message broke: ${String(error)}`)
    }
  }
}
