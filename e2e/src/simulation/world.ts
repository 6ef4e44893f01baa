import { between } from '@popmq/kit'
import { Scheduler, SeededRandom } from '@popmq/kit/testing'
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
import { Operator } from './workload/operator.ts'
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
    this.#network = new SimNetwork({ clock: scheduler, random: this.#random.fork(), trace: this.trace })
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
    if (this.#failure !== undefined) throw this.#failure
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
    const { producers, readers, faultsForMs } = this.plan
    const working: Promise<void>[] = [operator.work(() => areFaultsOver)]
    for (let n = 1; n <= producers; n += 1) working.push(this.#sender(`p${n}`).work(() => areFaultsOver))
    const reading: Promise<void>[] = []
    for (let n = 1; n <= readers; n += 1) {
      for (const topic of ['orders', 'steps', 'logs', 'news', 'jobs']) {
        if (this.#random.next() < 0.5) continue
        reading.push(this.#reader(`r${n}-${topic}`).follow(topic, () => isReadingOver))
      }
    }
    for (const task of [...working, ...reading]) this.#watch(task)
    this.nemesis.start()
    await this.scheduler.run(faultsForMs)
    this.nemesis.stop()
    areFaultsOver = true
    this.trace.event('world', 'heals')
    const isRest = await this.#await('work coming to an end', Promise.all(working))
    const isSettled = isRest && (await this.#until('messages being settled', () => this.history.pending === 0))
    isReadingOver = true
    return isSettled && (await this.#await('readers coming to an end', Promise.all(reading)))
  }

  /** Reads everything, cuts the power of every broker, and reads everything again. */
  async #readBack(): Promise<boolean> {
    const isUp = (): boolean => this.#coordinator.isUp && this.#brokers.every((broker) => broker.isUp)
    if (!(await this.#until('every node being up', isUp))) return false
    if (!(await this.#await('the last but one reading', this.#readAll('reader before the power cut')))) return false
    for (const broker of this.#brokers) broker.kill('lose')
    if (!(await this.#until('every node being up again', isUp))) return false
    return this.#await('the last reading', this.#readAll('final reader'))
  }

  async #readAll(name: string): Promise<void> {
    const operator = this.#operator()
    await operator.look()
    const { history } = this
    const defect = (what: string): void => this.defect('reader', what)
    history.final = await readEverything({ name, client: this.#client(name), history, defect })
  }

  #sender(name: string): Sender {
    const { history } = this
    const settle: HistoryBook['settle'] = (send, outcome) => {
      history.settle(send, outcome)
      this.trace.event(send.producer, send.state, send.index, send.receipt?.offset, send.error)
    }
    return new Sender({ name, client: this.#client(name), random: this.#random.fork(), history, settle })
  }

  #reader(name: string): WireReader {
    const defect = (what: string): void => this.defect('reader', what)
    return new WireReader({ name, client: this.#client(name), history: this.history, defect, seekBackShare: 0.1 })
  }

  #operator(): Operator {
    const client = this.#client('operator')
    return new Operator(client, { random: this.#random.fork(), history: this.history })
  }

  #client(name: string): WireClient {
    const life: Life = { isOver: false }
    if (!this.#clients.includes(name)) this.#clients.push(name)
    return new WireClient({
      name,
      transport: this.#network.transport(name, life),
      clock: lifeClock(this.scheduler, life, { skewMs: between(this.#random, -2_000, 2_000) }),
      random: this.#random.fork(),
      coordinator: this.#coordinator.address,
    })
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
    const isDone = await this.scheduler.runUntil(() => done() || this.#failure !== undefined, untilMs)
    if (!isDone) this.defect('liveness', `no end of ${what} within ${settleMs} ms after the last fault`)
    return isDone && this.#failure === undefined
  }
}
