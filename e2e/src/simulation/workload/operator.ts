import { between, sleep } from '@popmq/kit'
import type { SeededRandom } from '@popmq/kit/testing'
import {
  isMqError,
  offset,
  offsets,
  partitionNumber,
  purge,
  topicCreate,
  topicDelete,
  type TopicInfo,
  topicId,
} from '@popmq/protocol'
import { type HistoryBook, partitionName } from '../history.ts'
import type { WireClient } from './wire-client.ts'

export interface TopicPlan {
  readonly name: string
  readonly partitions: number
  readonly config: Readonly<Record<string, string>>
  /** Messages carry dedup ids. */
  readonly hasDedupIds: boolean
  /** Messages may go by age or size. */
  readonly expires: boolean
  /** It is deleted and made anew from time to time. */
  readonly comesAndGoes: boolean
}

const plain = { hasDedupIds: false, expires: false, comesAndGoes: false }

/** One topic for each way in which messages are kept, and one for each in which they go. */
export const topicPlans: readonly TopicPlan[] = [
  { ...plain, name: 'orders', partitions: 3, config: {} },
  { ...plain, name: 'steps', partitions: 1, config: { dedupWindow: '5s' }, hasDedupIds: true },
  { ...plain, name: 'logs', partitions: 2, config: { maxBytes: '20KiB' }, expires: true },
  { ...plain, name: 'news', partitions: 2, config: { retention: '4s' }, expires: true },
  { ...plain, name: 'jobs', partitions: 2, config: {}, comesAndGoes: true },
]

/** Makes the topics, then purges, deletes and makes them anew while faults go on. */
export class Operator {
  readonly #client: WireClient
  readonly #random: SeededRandom
  readonly #history: HistoryBook

  constructor(
    client: WireClient,
    { random, history }: { random: SeededRandom; history: HistoryBook },
  ) {
    this.#client = client
    this.#random = random
    this.#history = history
  }

  async makeTopics(): Promise<void> {
    for (const plan of topicPlans) await this.#make(plan)
  }

  async work(isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      await sleep(this.#client.parts.clock, between(this.#random, 300, 3_000))
      try {
        if (this.#random.next() < 0.7) await this.#purgeOne()
        else await this.#renewOne()
      } catch (error) {
        if (!isMqError(error)) throw error
        // Whether it was done or not: the history has what was asked for.
      }
    }
    // A topic that was deleted last comes back, so that producers can end.
    await this.makeTopics()
  }

  /** Every topic that there is, noted in the history. */
  async look(): Promise<readonly TopicInfo[]> {
    const { topics } = await this.#client.routes()
    for (const { id, name, sets, policy } of topics) {
      const expires = topicPlans.find((plan) => plan.name === name)?.expires === true
      const { dedupWindowMs } = policy
      this.#history.topics.set(id, { id, name, partitions: sets.length, expires, dedupWindowMs })
    }
    return topics
  }

  async #make({ name, partitions, config }: TopicPlan): Promise<void> {
    await this.#client.insistOn(async () => {
      try {
        await this.#client.ask(topicCreate, { name, partitions, config })
      } catch (error) {
        if (!isMqError(error, 'topic_exists')) throw error
      }
    })
    await this.look()
  }

  async #purgeOne(): Promise<void> {
    const routes = await this.#client.routes()
    const topics = routes.topics.filter(({ name }) => topicPlans.some((plan) => plan.name === name))
    const topic = topics[between(this.#random, 0, topics.length - 1)]
    if (topic === undefined) return
    const partition = between(this.#random, 0, topic.sets.length - 1)
    const caller = await this.#client.leader(routes, topic, partition)
    const place = { topicId: topicId(topic.id), partition: partitionNumber(partition) }
    const { reply } = await caller.call(offsets, { partitions: [place] }, { timeoutMs: 2_000 })
    const [bounds] = reply.results
    if (bounds === undefined || bounds.error !== undefined) return
    const before =
      this.#random.next() < 0.3 ? bounds.high : between(this.#random, bounds.low, bounds.high)
    this.#history.removals.push({
      kind: 'purge',
      partition: partitionName(topic.id, partition),
      before,
    })
    await caller.call(purge, { ...place, before: offset(before) }, { timeoutMs: 4_000 })
  }

  async #renewOne(): Promise<void> {
    const plan = topicPlans.find(({ comesAndGoes }) => comesAndGoes)
    if (plan === undefined) return
    const { clock } = this.#client.parts
    const removal = { kind: 'delete' as const, topic: plan.name, atMs: Number.POSITIVE_INFINITY }
    this.#history.removals.push(removal)
    try {
      await this.#client.ask(topicDelete, { name: plan.name })
      removal.atMs = clock.monotonic()
    } catch (error) {
      if (isMqError(error, 'topic_not_found')) removal.atMs = clock.monotonic()
      else throw error
    } finally {
      await this.#make(plan)
    }
  }
}
