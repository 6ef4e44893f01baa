import { between, sleep } from '@popmq/kit'
import type { SeededRandom } from '@popmq/kit/testing'
import { type AckLevel, type TopicInfo, isMqError } from '@popmq/protocol'
import type { HistoryBook, Send } from '../history.ts'
import { type TopicPlan, topicPlans } from './operator.ts'
import type { WireClient } from './wire-client.ts'
import type { Settle } from './wire-lane.ts'
import { WireProducer } from './wire-producer.ts'

export interface SenderParts {
  readonly name: string
  readonly client: WireClient
  readonly random: SeededRandom
  readonly history: HistoryBook
  readonly settle: Settle
}

/** Sends messages of its own numbering to topics at random: some keyed, some with dedup ids, in runs of 1 to 12. */
export class Sender {
  readonly #parts: SenderParts
  readonly #producers: Readonly<Record<'received' | 'disk', WireProducer>>
  #sent = 0

  constructor(parts: SenderParts) {
    const { client, random, settle } = parts
    const deliverWithinMs = between(random, 4_000, 15_000)
    this.#parts = parts
    const make = (acks: AckLevel): WireProducer =>
      new WireProducer({ client, acks, deliverWithinMs, settle })
    this.#producers = { received: make('received'), disk: make('disk') }
  }

  async work(isOver: () => boolean): Promise<void> {
    const { client, random } = this.#parts
    const mostPauseMs = between(random, 40, 300)
    let topics: readonly TopicInfo[] = []
    while (!isOver()) {
      await sleep(client.parts.clock, random.next() * mostPauseMs)
      const plan = topicPlans[between(random, 0, topicPlans.length - 1)]
      if (plan === undefined) continue
      try {
        if (random.next() < 0.1 || topics.length === 0) ({ topics } = await client.routes())
      } catch (error) {
        if (!isMqError(error)) throw error
        continue
      }
      const topic = topics.find(({ name }) => name === plan.name)
      if (topic !== undefined) await this.#sendSome(plan, topic)
    }
  }

  async #sendSome(plan: TopicPlan, topic: TopicInfo): Promise<void> {
    const { random, history } = this.#parts
    const partition = between(random, 0, topic.sets.length - 1)
    const acks = random.next() < 0.25 ? 'received' : 'disk'
    // A burst has as many runs under way as a window remembers, and more waiting.
    const runs = random.next() < 0.1 ? between(random, 4, 8) : 1
    for (let run = 0; run < runs; run += 1) {
      const count = random.next() < 0.5 ? 1 : between(random, 2, 10)
      const sends = Array.from({ length: count }, () => this.#make(plan, { partition, acks }))
      history.sending(sends)
      await this.#producers[acks].send(topic, partition, sends)
    }
  }

  #make(plan: TopicPlan, { partition, acks }: { partition: number; acks: AckLevel }): Send {
    const { name, client, random } = this.#parts
    const index = this.#sent
    this.#sent += 1
    const value = `${name}-${index}`
    const length = random.next() < 0.06 ? between(random, 1_000, 6_000) : between(random, 12, 500)
    const dedupId = plan.hasDedupIds ? `d${partition}-${between(random, 0, 60)}` : undefined
    return {
      value: value.padEnd(length, '.'),
      // Each ack level is a producer of its own: what one sends may overtake what the other does.
      producer: `${name}/${acks}`,
      index,
      topic: plan.name,
      acks,
      dedupId,
      key: random.next() < 0.5 ? `k${partition}` : undefined,
      invokedMs: client.parts.clock.monotonic(),
      state: 'pending',
      settledMs: 0,
      error: undefined,
      receipt: undefined,
    }
  }
}
