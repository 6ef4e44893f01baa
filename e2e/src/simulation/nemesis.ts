import { between } from '@popmq/kit'
import type { CrashMode, Scheduler, SeededRandom } from '@popmq/kit/testing'
import type { BrokerNode } from './broker-node.ts'
import type { CoordinatorNode } from './coordinator-node.ts'
import { fairWeather, type SimNetwork } from './network.ts'
import { fairDisk, type SimDisk } from './sim-disk.ts'
import type { SimRegistry } from './sim-registry.ts'
import { StrikesAtRegistry } from './strikes-at-registry.ts'
import type { FaultKind, MemberFaultKind, SwarmPlan } from './swarm.ts'
import type { Trace } from './trace.ts'

export interface NemesisParts {
  readonly plan: SwarmPlan
  readonly scheduler: Scheduler
  readonly random: SeededRandom
  readonly trace: Trace
  readonly network: SimNetwork
  readonly brokers: readonly BrokerNode[]
  readonly coordinators: readonly CoordinatorNode[]
  /** The registry that the coordinators share, if they do. */
  readonly registry: SimRegistry | undefined
  readonly strikeMember: (kind: MemberFaultKind) => void
  /** A wall clock was set. */
  readonly jumped: (node: string, skewMs: number) => void
  /** Names of the nodes that clients run on. */
  readonly clients: readonly string[]
}

const powerCuts: readonly CrashMode[] = ['lose', 'keep', 'random', 'torn']

interface Change<W> {
  readonly bad: Partial<W>
  readonly fair: Readonly<W>
}

/** Brings faults upon a world, of the kinds and as often as the plan says, until it is told to stop. */
export class Nemesis {
  readonly #parts: NemesisParts
  readonly counts = new Map<FaultKind, number>()
  readonly #atRegistry: StrikesAtRegistry
  #isOver = false

  constructor(parts: NemesisParts) {
    this.#parts = parts
    this.#atRegistry = new StrikesAtRegistry(parts)
  }

  start(): void {
    const { plan, scheduler, random } = this.#parts
    if (plan.faults.length === 0 || this.#isOver) return
    const delayMs = -Math.log(1 - random.next()) * plan.faultEveryMs
    scheduler.after(delayMs, () => {
      if (this.#isOver) return
      const kind = plan.faults[between(random, 0, plan.faults.length - 1)]
      if (kind !== undefined) this.#strike(kind)
      this.start()
    })
  }

  /** No more faults; those that last are over. */
  stop(): void {
    this.#isOver = true
    const { network, brokers, coordinators, registry } = this.#parts
    network.heal()
    registry?.heal()
    for (const { disk } of [...brokers, ...coordinators]) disk.heal()
  }

  #strike(kind: FaultKind): void {
    const { random, trace, network, strikeMember } = this.#parts
    this.counts.set(kind, (this.counts.get(kind) ?? 0) + 1)
    const broker = this.#broker()
    trace.event('world', kind)
    switch (kind) {
      case 'broker_kill':
        return broker.kill('kill')
      case 'broker_power_cut':
        return broker.kill(this.#powerCut())
      case 'broker_power_cut_at_write':
        // Between two effects on the disk, such as a write and its sync: that is where things go wrong.
        return broker.disk.stopAfter(between(random, 0, 12), () =>
          broker.kill(random.next() < 0.6 ? 'torn' : this.#powerCut()),
        )
      case 'broker_restart':
        return broker.restart()
      case 'coordinator_kill':
        return this.#atRegistry.coordinator().kill('kill')
      case 'coordinator_power_cut':
        return this.#atRegistry.coordinator().kill(this.#powerCut())
      case 'network_reset':
        for (let count = between(random, 1, 3); count > 0; count -= 1) network.resetOne()
        return
      case 'network_cut':
        return this.#cut(broker)
      case 'network_spikes':
        return this.#for(4_000, network.weather, {
          bad: { spikeShare: 0.3, spikeMs: between(random, 20, 3_000) },
          fair: fairWeather,
        })
      case 'network_refusals':
        return this.#for(3_000, network.weather, { bad: { refuseShare: 0.7 }, fair: fairWeather })
      case 'clock_jump':
        this.#clockJump()
        return
      case 'disk_full':
      case 'disk_short_writes':
      case 'disk_slow':
      case 'disk_sync_fails':
      case 'disk_write_fails':
        return this.#strikeDisk(kind, broker.disk)
      case 'member_cut':
      case 'member_kill':
      case 'member_pause':
        return strikeMember(kind)
      case 'coordinator_pause':
      case 'coordinator_restart':
      case 'registry_away':
      case 'registry_commits_unanswered':
      case 'registry_cut':
      case 'registry_session_expires':
      case 'registry_watches_late':
        return this.#atRegistry.strike(kind)
      default:
        kind satisfies never
    }
  }

  #strikeDisk(kind: Extract<FaultKind, `disk_${string}`>, disk: SimDisk): void {
    const { random, scheduler } = this.#parts
    switch (kind) {
      case 'disk_short_writes':
        return this.#for(4_000, disk.weather, { bad: { shortShare: 0.4 }, fair: fairDisk })
      case 'disk_full':
        void disk.fill(between(random, 0, 6_000))
        scheduler.after(between(random, 200, 5_000), () => disk.empty())
        return
      case 'disk_write_fails':
        return disk.failNext('write')
      case 'disk_sync_fails':
        return disk.failNext('sync')
      case 'disk_slow':
        return this.#for(3_000, disk.weather, {
          bad: { lowMs: 20, highMs: between(random, 50, 800) },
          fair: fairDisk,
        })
      default:
        return kind satisfies never
    }
  }

  #broker(): BrokerNode {
    const { brokers, random } = this.#parts
    const broker = brokers[between(random, 0, brokers.length - 1)]
    if (broker === undefined) throw new Error('a world has a broker')
    return broker
  }

  #powerCut(): CrashMode {
    return powerCuts[between(this.#parts.random, 0, powerCuts.length - 1)] ?? 'lose'
  }

  #cut(broker: BrokerNode): void {
    const { random, network, scheduler, clients } = this.#parts
    const coordinator = this.#atRegistry.coordinator()
    const others = [coordinator.name, ...clients]
    const other = others[between(random, 0, others.length - 1)] ?? coordinator.name
    network.cut(broker.name, other)
    scheduler.after(between(random, 100, 15_000), () => network.mend(broker.name, other))
  }

  /**
   * A wall clock is set anew, up to 20 minutes off. A broker forgets a run an hour after its append by that clock, and
   * a delivery may take 15 minutes: one that leaps ahead by more than 45 minutes takes the protection from it.
   */
  #clockJump(): void {
    const { random, brokers, coordinators, jumped } = this.#parts
    const nodes = [...brokers, ...coordinators]
    const node = nodes[between(random, 0, nodes.length - 1)]
    if (node === undefined) return
    node.wall.skewMs = between(random, -3_600_000, 3_600_000)
    jumped(node.name, node.wall.skewMs)
  }

  /** Changes the weather for a while, then it is fair again. */
  #for<W extends object>(mostMs: number, weather: W, change: Change<W>): void {
    Object.assign(weather, change.bad)
    this.#parts.scheduler.after(between(this.#parts.random, 100, mostMs), () => {
      if (!this.#isOver) Object.assign(weather, change.fair)
    })
  }
}
