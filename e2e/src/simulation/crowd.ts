import { type Client, connect } from '@popmq/client'
import { between, type Clock } from '@popmq/kit'
import type { SeededRandom } from '@popmq/kit/testing'
import type { HistoryBook } from './history.ts'
import { lifeClock, type Life } from './life.ts'
import type { SimNetwork } from './network.ts'
import type { SwarmPlan } from './swarm.ts'
import type { Trace } from './trace.ts'
import type { ProcessPorts } from './workload/group-member.ts'
import { Operator, type TopicPlan, topicPlans } from './workload/operator.ts'
import { PublicReader } from './workload/public-reader.ts'
import { PublicSender } from './workload/public-sender.ts'
import { Sender } from './workload/sender.ts'
import { WireClient } from './workload/wire-client.ts'
import { WireReader } from './workload/wire-reader.ts'

export interface CrowdParts {
  readonly plan: SwarmPlan
  readonly clock: Clock
  readonly random: SeededRandom
  readonly network: SimNetwork
  readonly trace: Trace
  readonly history: HistoryBook
  /** host:port of each coordinator. */
  readonly coordinators: readonly string[]
  readonly defect: (what: string) => void
}

/** How long a client that starts looks for a coordinator. */
const connectWithinMs = 60_000

/** Everybody outside the cluster, each in a process and on a node of its own. */
export class Crowd {
  /** Names of the nodes, but for those of members. */
  readonly names: string[] = []
  readonly #parts: CrowdParts

  constructor(parts: CrowdParts) {
    this.#parts = parts
  }

  /** @param topic that of the group, if there is one */
  startSenders(isOver: () => boolean, topic: TopicPlan | undefined): Promise<void>[] {
    const { history, plan, random } = this.#parts
    const settle: HistoryBook['settle'] = (send, outcome) => this.settle(send, outcome)
    const senders: Promise<void>[] = []
    for (let n = 1; n <= plan.wireProducers; n += 1) {
      const name = `w${n}`
      const client = this.wireClient(name)
      const sender = new Sender({ name, client, random: random.fork(), history, settle })
      senders.push(sender.work(isOver))
    }
    for (let n = 1; n <= plan.publicProducers; n += 1)
      senders.push(this.#sends(`p${n}`, { topics: topicPlans, settle, isOver }))
    if (topic !== undefined) senders.push(this.#sends('g1', { topics: [topic], settle, isOver }))
    return senders
  }

  /** One more client that sends to these topics. */
  async #sends(
    name: string,
    { topics, settle, isOver }: Sending & { readonly isOver: () => boolean },
  ): Promise<void> {
    const random = this.#parts.random.fork()
    const { history } = this.#parts
    const { client, clock } = await this.publicClient(name)
    await new PublicSender({ name, client, clock, random, history, settle, topics }).work(isOver)
  }

  /** A message has its outcome. */
  settle(...[send, outcome]: Parameters<HistoryBook['settle']>): void {
    const { history, trace } = this.#parts
    history.settle(send, outcome)
    trace.event(send.producer, send.state, send.index, send.receipt?.offset, send.error)
  }

  startReaders(isOver: () => boolean): Promise<void>[] {
    const { history, plan, random, defect } = this.#parts
    const readers: Promise<void>[] = []
    for (let n = 1; n <= plan.wireReaders; n += 1) {
      const name = `r${n}`
      const topic = topicPlans[between(random, 0, topicPlans.length - 1)]?.name ?? ''
      const client = this.wireClient(name)
      const reader = new WireReader({ name, client, history, defect, seekBackShare: 0.1 })
      readers.push(reader.follow(topic, isOver))
    }
    const lasting = topicPlans.filter(({ comesAndGoes }) => !comesAndGoes)
    for (let n = 1; n <= plan.publicReaders; n += 1) {
      const name = `c${n}`
      const topic = lasting[between(random, 0, lasting.length - 1)]?.name ?? ''
      readers.push(
        this.publicClient(name).then(({ client, clock }) =>
          new PublicReader({ name, client, clock, history, defect }).follow(topic, isOver),
        ),
      )
    }
    return readers
  }

  operator(): Operator {
    const { random, history } = this.#parts
    return new Operator(this.wireClient('operator'), { random: random.fork(), history })
  }

  wireClient(name: string): WireClient {
    const { coordinators } = this.#parts
    return new WireClient({ ...this.#named(name), name, coordinators })
  }

  async publicClient(name: string): Promise<{ client: Client; clock: Clock }> {
    const { random, coordinators } = this.#parts
    const { transport, clock, random: own } = this.#named(name)
    const client = await connect(coordinators, {
      transport,
      clock,
      random: own,
      client: name,
      connectWithinMs,
      requestTimeoutMs: between(random, 1_000, 5_000),
      refreshMs: between(random, 500, 10_000),
    })
    return { client, clock }
  }

  /** The ports of a new process. */
  process(name: string): ProcessPorts {
    const { network, clock, random } = this.#parts
    const life: Life = { isOver: false }
    return {
      life,
      transport: network.transport(name, life),
      clock: lifeClock(clock, life, { skewMs: between(random, -2_000, 2_000) }),
      random: random.fork(),
    }
  }

  #named(name: string): ProcessPorts {
    if (!this.names.includes(name)) this.names.push(name)
    return this.process(name)
  }
}

interface Sending {
  readonly topics: readonly TopicPlan[]
  readonly settle: HistoryBook['settle']
}
