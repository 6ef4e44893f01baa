import { between, type Clock, sleep } from '@popmq/kit'
import type { SeededRandom } from '@popmq/kit/testing'
import { groupLag, groupOpen, groupSet, isMqError, topicCreate } from '@popmq/protocol'
import { DeliveryBook, type DeliveryEnd, type ToldState } from '../../delivery-history.ts'
import { type HistoryBook, partitionName } from '../../history.ts'
import type { SimNetwork } from '../../network.ts'
import type { DeliveryPlan } from '../../swarm.ts'
import type { Trace } from '../../trace.ts'
import type { ProcessPorts } from '../group-member.ts'
import { WireClient } from '../wire-client.ts'
import type { Settle } from '../wire-lane.ts'
import { DeliveryOperator, type NamedGroup, noteLeaders } from './delivery-operator.ts'
import { HeldLook } from './held-look.ts'
import { LastHand } from './last-hand.ts'
import { PopConsumer } from './pop-consumer.ts'
import { WorkSender } from './work-sender.ts'

export interface DeliveryWorkloadParts {
  readonly plan: DeliveryPlan
  /** Of the world: it goes on whatever becomes of a process. */
  readonly clock: Clock
  readonly random: SeededRandom
  readonly trace: Trace
  readonly network: SimNetwork
  readonly history: HistoryBook
  readonly coordinators: readonly string[]
  readonly process: (name: string) => ProcessPorts
  readonly wireClient: (name: string) => WireClient
  readonly settle: Settle
  readonly look: () => Promise<unknown>
  readonly defect: (what: string) => void
}

/** What is popped. */
const topicName = 'work'
/** When all faults are over there is so much that slow consumers would need minutes. */
const mostLastHandleMs = 30
/** How long everything may take to drain by itself where no clock was set. */
const patienceMs = 20_000

/** Lets consumers come, go and be killed while messages are sent, and has the last of them take all that there is. */
export class DeliveryWorkload {
  readonly book: DeliveryBook
  readonly #parts: DeliveryWorkloadParts
  readonly #client: WireClient
  /** Those that live, with the end of their work. */
  readonly #consumers = new Map<PopConsumer, Promise<void>>()
  #groups: readonly NamedGroup[] = []
  #topicId = 0
  #started = 0

  constructor(parts: DeliveryWorkloadParts) {
    this.#parts = parts
    this.book = new DeliveryBook(parts.clock.now() - parts.clock.monotonic())
    this.#client = parts.wireClient('delivery-operator')
    parts.history.delivery = this.book
  }

  /** Makes topic and groups. */
  async prepare(): Promise<void> {
    const { plan, look } = this.#parts
    const client = this.#client
    await client.insistOn(async () => {
      try {
        const made = { name: topicName, partitions: plan.partitions, config: {} }
        await client.ask(topicCreate, made)
      } catch (error) {
        if (!isMqError(error, 'topic_exists')) throw error
      }
    })
    await look()
    const topics = [...this.#parts.history.topics.values()]
    this.#topicId = topics.find(({ name }) => name === topicName)?.id ?? 0
    const groups: NamedGroup[] = []
    for (let n = 1; n <= plan.groups; n += 1) groups.push(await this.#makeGroup(`pops-${n}`))
    this.#groups = groups
    while (!(await noteLeaders(client, this.book, this.#topicId)))
      await sleep(this.#parts.clock, 200)
  }

  /** Keeps as many consumers as planned, and changes who they are, until it is over. */
  async work(isOver: () => boolean): Promise<void> {
    const sender = this.#sender()
    const working = [sender.work(isOver), this.#operate(isOver)]
    for (const group of this.#groups) working.push(this.#keepConsumers(group, isOver))
    await Promise.all(working)
    await sender.ended()
  }

  /** The last consumers take what there is; then they leave too. */
  async drain(): Promise<void> {
    const { clock } = this.#parts
    for (const group of this.#groups) {
      this.#start(group, mostLastHandleMs)
      this.#start(group, mostLastHandleMs)
    }
    const sinceMs = clock.monotonic()
    while (!(await this.#isDrained())) {
      await sleep(clock, 400)
      // Where a clock was set back or forward, what waits may do so for an hour.
      const isStuck = clock.monotonic() - sinceMs > patienceMs && this.book.jumps.length > 0
      if (isStuck) await this.#client.insistOn(() => this.#lastHand().hurry(this.#groups))
    }
    for (const consumer of this.#consumers.keys()) consumer.leave()
    await Promise.all(this.#consumers.values())
  }

  /** Notes what is told of all messages. */
  async tell(): Promise<void> {
    const states = await this.#states()
    const letters: DeliveryEnd['letters'][number][] = []
    for (const node of new Set(this.book.leaders.values())) {
      const look = new HeldLook(this.#client, node)
      for (const { id } of this.#groups) {
        const listed = await this.#client.insistOn(() => look.letters(id))
        for (const { letter } of listed)
          letters.push(await this.#client.insistOn(() => look.letter(id, letter)))
      }
    }
    this.book.ends.push({ states: states?.states ?? [], letters })
  }

  async #makeGroup(name: string): Promise<NamedGroup> {
    const { maxAttempts, backOffMs, invisibleMs } = this.#parts.plan
    const config = {
      maxAttempts: `${maxAttempts}`,
      backoff: backOffMs.map((ms) => `${ms}ms`).join(','),
      invisible: `${invisibleMs}ms`,
    }
    await this.#client.insist(groupSet, { group: name, config })
    const { groupId: id } = await this.#client.insist(groupOpen, {
      group: name,
      topics: [topicName],
    })
    this.book.groups.push({ id, maxAttempts, backOffMs })
    return { name, id }
  }

  #sender(): WorkSender {
    const { plan, random, history, settle, wireClient, defect } = this.#parts
    const name = 'd0'
    const shared = { plan, history, settle, defect, book: this.book, topic: this.#topic }
    return new WorkSender({ ...shared, name, client: wireClient(name), random: random.fork() })
  }

  get #topic(): { readonly name: string; readonly id: number; readonly partitions: number } {
    return { name: topicName, id: this.#topicId, partitions: this.#parts.plan.partitions }
  }

  async #keepConsumers(group: NamedGroup, isOver: () => boolean): Promise<void> {
    const { plan, clock } = this.#parts
    while (!isOver()) {
      const own = this.#consumersOf(group.id)
      if (own.length < plan.consumers) this.#start(group)
      else if (plan.changeEveryMs > 0) this.#end(own)
      const pauseMs = plan.changeEveryMs === 0 ? 500 : this.#about(plan.changeEveryMs)
      await sleep(clock, own.length < plan.consumers ? pauseMs / 4 : pauseMs)
    }
    const own = this.#consumersOf(group.id)
    for (const consumer of own) consumer.leave()
    await Promise.all(own.flatMap((consumer) => this.#consumers.get(consumer) ?? []))
  }

  #consumersOf(group: number): PopConsumer[] {
    return [...this.#consumers.keys()].filter(({ parts }) => parts.group === group)
  }

  #start({ id: group }: NamedGroup, mostHandleMs = Number.POSITIVE_INFINITY): void {
    const { plan, random, coordinators, process, defect, trace } = this.#parts
    this.#started += 1
    const name = `d${this.#started}`
    const ports = process(name)
    const handleMs = Math.min(plan.handleMs, mostHandleMs)
    const own = { plan: { ...plan, handleMs }, defect, trace }
    const consumer = new PopConsumer({
      ...own,
      name,
      group,
      otherGroup: this.#groups.find(({ id }) => id !== group)?.id,
      topic: this.#topic,
      client: new WireClient({ ...ports, name, coordinators }),
      random: ports.random,
      book: this.book,
      life: ports.life,
      another: () => {
        const others = this.#consumersOf(group).filter((other) => other !== consumer)
        return others[between(random, 0, Math.max(0, others.length - 1))]
      },
    })
    const work = consumer.work()
    this.#consumers.set(consumer, work)
    const gone = (): void => void this.#consumers.delete(consumer)
    work.then(gone, (error: unknown) => {
      gone()
      defect(`${name} broke: ${String(error)}`)
    })
  }

  /** One leaves, or its process is killed. */
  #end(own: readonly PopConsumer[]): void {
    const { random, network, trace } = this.#parts
    const consumer = own[between(random, 0, own.length - 1)]
    if (consumer === undefined) return
    if (random.next() < 0.5) return consumer.leave()
    const { name, life } = consumer.parts
    trace.event(name, 'dies')
    life.isOver = true
    this.#consumers.delete(consumer)
    network.nodeGone(name, { isPowerCut: false })
  }

  async #operate(isOver: () => boolean): Promise<void> {
    const { plan, clock } = this.#parts
    if (plan.operateEveryMs === 0) return
    const operator = this.#operator()
    while (!isOver()) {
      await sleep(clock, this.#about(plan.operateEveryMs))
      await operator.actOnce()
    }
  }

  #operator(): DeliveryOperator {
    const { random, history } = this.#parts
    const own = { client: this.#client, random: random.fork(), history, book: this.book }
    return new DeliveryOperator({ ...own, topic: this.#topic, groups: this.#groups })
  }

  #lastHand(): LastHand {
    const { random } = this.#parts
    const own = { client: this.#client, random: random.fork(), book: this.book }
    return new LastHand({ ...own, operator: this.#operator(), topicId: this.#topicId })
  }

  async #isDrained(): Promise<boolean> {
    const told = await this.#states()
    if (told === undefined) return false
    const { states, delayed } = told
    const waiting = states.map(({ ready, leased, retrying }) => ready + leased + retrying)
    this.#parts.trace.event('delivery', 'stands', waiting.join(), delayed)
    return delayed === 0 && waiting.every((count) => count === 0)
  }

  /** Undefined while some broker does not tell. */
  async #states(): Promise<{ states: ToldState[]; delayed: number } | undefined> {
    const states: ToldState[] = []
    let waiting = 0
    for (const { name, id } of this.#groups) {
      const reply = await this.#client.insist(groupLag, { group: name })
      if (reply.unknown.length > 0) return undefined
      for (const { topicId, partition, ...counts } of reply.partitions)
        states.push({ ...counts, group: id, partition: partitionName(topicId, partition) })
      for (const { count } of reply.delayed) waiting += count
    }
    return { states, delayed: waiting }
  }

  #about(meanMs: number): number {
    return -Math.log(1 - this.#parts.random.next()) * meanMs
  }
}
