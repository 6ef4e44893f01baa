import { type Client, connect } from '@popmq/client'
import { between, type Clock } from '@popmq/kit'
import { Scheduler, SeededRandom } from '@popmq/kit/testing'
import type { Transport } from '@popmq/transport'
import { BrokerNode, type NodeParts } from './broker-node.ts'
import { judge } from './checkers/index.ts'
import { CoordinatorNode } from './coordinator-node.ts'
import { HistoryBook, type Violation } from './history.ts'
import { type Life, lifeClock } from './life.ts'
import { Nemesis } from './nemesis.ts'
import { SimNetwork } from './network.ts'
import type { Plant } from './plants/plant.ts'
import { drawPlan, type SwarmPlan } from './swarm.ts'
import { Trace } from './trace.ts'
import { readEverything } from './workload/final-reader.ts'
import { Operator, topicPlans } from './workload/operator.ts'
import { PublicReader } from './workload/public-reader.ts'
import { PublicSender } from './workload/public-sender.ts'
import { Sender } from './workload/sender.ts'
import { WireClient } from './workload/wire-client.ts'
import { WireReader } from './workload/wire-reader.ts'

export interface WorldOptions {
  readonly seed: number
  readonly plant?: Plant | undefined
  /** Gets every event as a line. */
  readonly print?: ((line: string) => void) | undefined
}

/** How long, in virtual ms, everything may take to come to rest after the last fault. */
const settleMs = 180_000

/** With so many defects a seed has failed, and goes on no longer. */
const mostDefects = 5

/** One seed's world: a coordinator, brokers and clients in this process, on one virtual clock. */
export class World {
  readonly plan: SwarmPlan
  readonly scheduler = new Scheduler()
  readonly trace: Trace
  readonly history = new HistoryBook()
  readonly #random: SeededRandom
  readonly #network: SimNetwork
  readonly #coordinator: CoordinatorNode
  readonly #brokers: BrokerNode[] = []
  readonly #clients: string[] = []
  readonly #defects: Violation[] = []
  readonly nemesis: Nemesis
  #failure: unknown

  constructor({ seed, plant, print }: WorldOptions) {
    this.#random = new SeededRandom(seed)
    this.plan = drawPlan(this.#random.fork())
    const { scheduler } = this
    this.trace = new Trace(() => scheduler.monotonic(), print)
    this.#network = new SimNetwork({
      clock: scheduler,
      random: this.#random.fork(),
      trace: this.trace,
    })
    this.#coordinator = new CoordinatorNode(this.#nodeParts(), this.plan.registry)
    for (let id = 1; id <= this.plan.brokers; id += 1) {
      const options = { id, coordinators: [this.#coordinator.address], log: this.plan.log }
      const wrapStorage = plant?.wrapStorage ?? ((storage) => storage)
      this.#brokers.push(new BrokerNode({ ...this.#nodeParts(), options, wrapStorage }))
    }
    this.nemesis = new Nemesis({
      plan: this.plan,
      scheduler,
      random: this.#random.fork(),
      trace: this.trace,
      network: this.#network,
      brokers: this.#brokers,
      coordinator: this.#coordinator,
      clients: this.#clients,
    })
  }

  /** Lives through the seed. @returns what was not as it was promised */
  async run(): Promise<Violation[]> {
    this.#coordinator.start()
    for (const broker of this.#brokers) broker.start()
    const operator = this.#operator()
    const isSettled =
      (await this.#await('making the topics', operator.makeTopics())) &&
      (await this.#liveThroughFaults(operator)) &&
      (await this.#readBack())
    if (this.#failure !== undefined) this.defect('simulator', describe(this.#failure))
    return isSettled ? [...this.#defects, ...judge(this.history)] : this.#defects
  }

  /** Something that no history shows: a process that failed without a cause, a promise nobody looked after. */
  defect(checker: string, what: string): void {
    this.trace.event('world', 'defect', checker, what.slice(0, 300))
    this.#defects.push({ checker, what })
  }

  async #liveThroughFaults(operator: Operator): Promise<boolean> {
    let areFaultsOver = false
    let isReadingOver = false
    const working = [operator.work(() => areFaultsOver), ...this.#startSenders(() => areFaultsOver)]
    const reading = this.#startReaders(() => isReadingOver)
    for (const task of [...working, ...reading]) this.#watch(task)
    this.nemesis.start()
    await this.scheduler.run(this.plan.faultsForMs)
    this.nemesis.stop()
    areFaultsOver = true
    this.trace.event('world', 'heals')
    const isRest = await this.#await('work coming to an end', Promise.all(working))
    const isSettled =
      isRest && (await this.#until('messages being settled', () => this.history.pending === 0))
    isReadingOver = true
    return isSettled && (await this.#await('readers coming to an end', Promise.all(reading)))
  }

  /** Reads everything, cuts the power of every broker, and reads everything again. */
  async #readBack(): Promise<boolean> {
    const isUp = (): boolean =>
      this.#coordinator.isUp && this.#brokers.every((broker) => broker.isUp)
    if (!(await this.#until('every node being up', isUp))) return false
    if (
      !(await this.#await('the last but one reading', this.#readAll('reader before the power cut')))
    )
      return false
    for (const broker of this.#brokers) broker.kill('lose')
    if (!(await this.#until('every node being up again', isUp))) return false
    return this.#await('the last reading', this.#readAll('final reader'))
  }

  async #readAll(name: string): Promise<void> {
    const operator = this.#operator()
    await operator.look()
    const { history } = this
    const defect = (what: string): void => this.defect('reader', what)
    history.final = await readEverything({ name, client: this.#wireClient(name), history, defect })
  }

  #startSenders(isOver: () => boolean): Promise<void>[] {
    const { history } = this
    const settle: HistoryBook['settle'] = (send, outcome) => {
      history.settle(send, outcome)
      this.trace.event(send.producer, send.state, send.index, send.receipt?.offset, send.error)
    }
    const senders: Promise<void>[] = []
    for (let n = 1; n <= this.plan.wireProducers; n += 1) {
      const name = `w${n}`
      const sender = new Sender({
        name,
        client: this.#wireClient(name),
        random: this.#random.fork(),
        history,
        settle,
      })
      senders.push(sender.work(isOver))
    }
    for (let n = 1; n <= this.plan.publicProducers; n += 1) {
      const name = `p${n}`
      const random = this.#random.fork()
      senders.push(
        this.#publicClient(name).then(({ client, clock }) =>
          new PublicSender({ name, client, clock, random, history, settle }).work(isOver),
        ),
      )
    }
    return senders
  }

  #startReaders(isOver: () => boolean): Promise<void>[] {
    const { history } = this
    const defect = (what: string): void => this.defect('reader', what)
    const readers: Promise<void>[] = []
    for (let n = 1; n <= this.plan.wireReaders; n += 1) {
      const name = `r${n}`
      const topic = topicPlans[between(this.#random, 0, topicPlans.length - 1)]?.name ?? ''
      const reader = new WireReader({
        name,
        client: this.#wireClient(name),
        history,
        defect,
        seekBackShare: 0.1,
      })
      readers.push(reader.follow(topic, isOver))
    }
    const lasting = topicPlans.filter(({ comesAndGoes }) => !comesAndGoes)
    for (let n = 1; n <= this.plan.publicReaders; n += 1) {
      const name = `c${n}`
      const topic = lasting[between(this.#random, 0, lasting.length - 1)]?.name ?? ''
      readers.push(
        this.#publicClient(name).then(({ client, clock }) =>
          new PublicReader({ name, client, clock, history, defect }).follow(topic, isOver),
        ),
      )
    }
    return readers
  }

  #operator(): Operator {
    const client = this.#wireClient('operator')
    return new Operator(client, { random: this.#random.fork(), history: this.history })
  }

  #wireClient(name: string): WireClient {
    return new WireClient({
      ...this.#clientPorts(name),
      name,
      coordinator: this.#coordinator.address,
    })
  }

  async #publicClient(name: string): Promise<{ client: Client; clock: Clock }> {
    const ports = this.#clientPorts(name)
    const client = await connect(this.#coordinator.address, {
      ...ports,
      client: name,
      requestTimeoutMs: between(this.#random, 1_000, 5_000),
      refreshMs: between(this.#random, 500, 10_000),
    })
    return { client, clock: ports.clock }
  }

  #clientPorts(name: string): { transport: Transport; clock: Clock; random: SeededRandom } {
    const life: Life = { isOver: false }
    if (!this.#clients.includes(name)) this.#clients.push(name)
    return {
      transport: this.#network.transport(name, life),
      clock: lifeClock(this.scheduler, life, { skewMs: between(this.#random, -2_000, 2_000) }),
      random: this.#random.fork(),
    }
  }

  #nodeParts(): NodeParts {
    return {
      scheduler: this.scheduler,
      random: this.#random.fork(),
      network: this.#network,
      trace: this.trace,
      defect: (what) => this.defect('process', what),
      crashed: (node) => void this.history.crashes.push({ node, atMs: this.scheduler.monotonic() }),
    }
  }

  #watch(task: Promise<unknown>): void {
    task.catch((error: unknown) => (this.#failure ??= error))
  }

  async #await(what: string, task: Promise<unknown>): Promise<boolean> {
    let isDone = false
    this.#watch(task.then(() => (isDone = true)))
    return this.#until(what, () => isDone)
  }

  async #until(what: string, done: () => boolean): Promise<boolean> {
    const untilMs = this.scheduler.monotonic() + settleMs
    const isLost = (): boolean => this.#failure !== undefined || this.#defects.length >= mostDefects
    const isDone = await this.scheduler.runUntil(() => done() || isLost(), untilMs)
    if (!isDone)
      this.defect('liveness', `no end of ${what} within ${settleMs} ms after the last fault`)
    return isDone && !isLost()
  }
}

/** Whatever was thrown, for people. */
export function describe(reason: unknown): string {
  return reason instanceof Error ? (reason.stack ?? reason.message) : String(reason)
}
