import { Scheduler, SeededRandom } from '@popmq/kit/testing'
import { BrokerNode, type NodeParts } from './broker-node.ts'
import { judge } from './checkers/index.ts'
import { CoordinatorNode } from './coordinator-node.ts'
import { Crowd } from './crowd.ts'
import { HistoryBook, type Violation } from './history.ts'
import { Nemesis } from './nemesis.ts'
import { SimNetwork } from './network.ts'
import type { Plant } from './plants/plant.ts'
import { SimRegistry } from './sim-registry.ts'
import { type DeliveryPlan, type GroupPlan, planOf, type SwarmPlan } from './swarm.ts'
import { Trace } from './trace.ts'
import { readEverything } from './workload/final-reader.ts'
import { DeliveryWorkload } from './workload/delivery/delivery-workload.ts'
import { GroupWorkload } from './workload/group-workload.ts'
import type { Operator } from './workload/operator.ts'

export interface WorldOptions {
  readonly seed: number
  readonly plant?: Plant | undefined
  /** Gets every event as a line. */
  readonly print?: ((line: string) => void) | undefined
}

/** How long, in virtual ms, everything may take to come to rest after the last fault. */
const settleMs = 180_000

const nothing = Promise.resolve()

/** With so many defects a seed has failed, and goes on no longer. */
const mostDefects = 5

/** One seed's world: coordinators, brokers and clients in this process, on one virtual clock. */
export class World {
  readonly plan: SwarmPlan
  readonly scheduler = new Scheduler()
  readonly trace: Trace
  readonly history = new HistoryBook()
  readonly #random: SeededRandom
  readonly #network: SimNetwork
  readonly #registry: SimRegistry | undefined
  readonly #coordinators: CoordinatorNode[] = []
  readonly #brokers: BrokerNode[] = []
  readonly #crowd: Crowd
  readonly #defects: Violation[] = []
  readonly nemesis: Nemesis
  readonly #group: GroupWorkload | undefined
  readonly #delivery: DeliveryWorkload | undefined
  #failure: unknown

  constructor({ seed, plant, print }: WorldOptions) {
    this.#random = new SeededRandom(seed)
    this.plan = planOf(seed, this.#random)
    const { scheduler } = this
    this.trace = new Trace(() => scheduler.monotonic(), print)
    this.#network = new SimNetwork({
      clock: scheduler,
      random: this.#random.fork(),
      trace: this.trace,
    })
    if (this.plan.registry === 'memory') this.#registry = this.#sharedRegistry()
    for (let id = 1; id <= this.plan.coordinators; id += 1) {
      const wrapRegistry = plant?.wrapRegistry ?? ((registry) => registry)
      const own = { id, registry: this.#registry, wrapRegistry }
      this.#coordinators.push(new CoordinatorNode({ ...this.#nodeParts(), ...own }))
    }
    for (let id = 1; id <= this.plan.brokers; id += 1) {
      const options = { id, coordinators: this.#addresses, log: this.plan.log }
      const wrapStorage = plant?.wrapStorage ?? ((storage) => storage)
      this.#brokers.push(new BrokerNode({ ...this.#nodeParts(), options, wrapStorage }))
    }
    this.#crowd = new Crowd({
      plan: this.plan,
      clock: scheduler,
      random: this.#random.fork(),
      network: this.#network,
      trace: this.trace,
      history: this.history,
      coordinators: this.#addresses,
      defect: (what) => this.defect('reader', what),
    })
    if (this.plan.group !== undefined) this.#group = this.#groupWorkload(this.plan.group)
    if (this.plan.delivery !== undefined)
      this.#delivery = this.#deliveryWorkload(this.plan.delivery)
    this.nemesis = new Nemesis({
      plan: this.plan,
      scheduler,
      random: this.#random.fork(),
      trace: this.trace,
      network: this.#network,
      brokers: this.#brokers,
      coordinators: this.#coordinators,
      registry: this.#registry,
      strikeMember: (kind) => this.#group?.strike(kind),
      jumped: (node, skewMs) =>
        void this.history.delivery?.jumps.push({ node, atMs: scheduler.monotonic(), skewMs }),
      clients: this.#crowd.names,
    })
  }

  /** Lives through the seed. @returns what was not as it was promised */
  async run(): Promise<Violation[]> {
    for (const coordinator of this.#coordinators) coordinator.start()
    for (const broker of this.#brokers) broker.start()
    const operator = this.#crowd.operator()
    const isSettled =
      (await this.#await('making the topics', operator.makeTopics())) &&
      (await this.#await('making the group', this.#group?.prepare() ?? Promise.resolve())) &&
      (await this.#await('making the popped topic', this.#delivery?.prepare() ?? nothing)) &&
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
    const areOver = (): boolean => areFaultsOver
    const senders = this.#crowd.startSenders(areOver, this.#group?.topicPlan)
    const working = [operator.work(areOver), ...senders]
    if (this.#group !== undefined) working.push(this.#group.work(areOver))
    if (this.#delivery !== undefined) working.push(this.#delivery.work(areOver))
    const reading = this.#crowd.startReaders(() => isReadingOver)
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
    const isRead =
      isSettled &&
      (await this.#await('the group reading all', this.#group?.drain() ?? Promise.resolve())) &&
      (await this.#await('all being popped', this.#delivery?.drain() ?? nothing))
    return isRead && (await this.#await('readers coming to an end', Promise.all(reading)))
  }

  /** Reads everything, cuts the power of every broker, and reads everything again. */
  async #readBack(): Promise<boolean> {
    const isUp = (): boolean =>
      this.#coordinators.every((coordinator) => coordinator.isUp) &&
      this.#brokers.every((broker) => broker.isUp)
    if (!(await this.#until('every node being up', isUp))) return false
    if (
      !(await this.#await('the last but one reading', this.#readAll('reader before the power cut')))
    )
      return false
    if (!(await this.#await('telling what was popped', this.#delivery?.tell() ?? nothing)))
      return false
    for (const broker of this.#brokers) broker.kill('lose')
    if (!(await this.#until('every node being up again', isUp))) return false
    return (
      (await this.#await('the last reading', this.#readAll('final reader'))) &&
      (await this.#await('telling again what was popped', this.#delivery?.tell() ?? nothing))
    )
  }

  async #readAll(name: string): Promise<void> {
    const operator = this.#crowd.operator()
    await operator.look()
    const { history } = this
    const defect = (what: string): void => this.defect('reader', what)
    history.final = await readEverything({
      name,
      client: this.#crowd.wireClient(name),
      history,
      defect,
    })
  }

  #sharedRegistry(): SimRegistry {
    const { scheduler: clock, trace } = this
    return new SimRegistry({ clock, random: this.#random.fork(), trace })
  }

  #groupWorkload(plan: GroupPlan): GroupWorkload {
    const { trace, history, scheduler: clock } = this
    const nodes = [...this.#coordinators, ...this.#brokers]
    return new GroupWorkload({
      plan,
      clock,
      random: this.#random.fork(),
      trace,
      network: this.#network,
      history,
      coordinators: this.#addresses,
      servers: nodes.map(({ name }) => name),
      process: (name) => this.#crowd.process(name),
      client: () => this.#crowd.publicClient('group-operator'),
      look: () => this.#crowd.operator().look(),
      defect: (what) => this.defect('member', what),
    })
  }

  #deliveryWorkload(plan: DeliveryPlan): DeliveryWorkload {
    const { trace, history, scheduler: clock } = this
    return new DeliveryWorkload({
      plan,
      clock,
      random: this.#random.fork(),
      trace,
      network: this.#network,
      history,
      coordinators: this.#addresses,
      process: (name) => this.#crowd.process(name),
      wireClient: (name) => this.#crowd.wireClient(name),
      settle: (send, outcome) => this.#crowd.settle(send, outcome),
      look: () => this.#crowd.operator().look(),
      defect: (what) => this.defect('consumer', what),
    })
  }

  get #addresses(): string[] {
    return this.#coordinators.map(({ address }) => address)
  }

  #nodeParts(): NodeParts {
    return {
      scheduler: this.scheduler,
      random: this.#random.fork(),
      network: this.#network,
      trace: this.trace,
      defect: (what) => this.defect('process', what),
      crashed: (node) => void this.history.crashes.push({ node, atMs: this.scheduler.monotonic() }),
      ended: (node) =>
        void this.history.delivery?.lifeEnds.push({ node, atMs: this.scheduler.monotonic() }),
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
