import {
  type Coordinator,
  EmbeddedRegistry,
  type Registry,
  startCoordinator,
} from '@popmq/coordinator'
import { between, type Log } from '@popmq/kit'
import type { CrashMode } from '@popmq/kit/testing'
import { isMqError, type MqError } from '@popmq/protocol'
import type { NodeParts } from './broker-node.ts'
import { type Life, lifeClock, pause, type WallSkew, wake } from './life.ts'
import { nodeLog } from './node-log.ts'
import { SimDisk } from './sim-disk.ts'
import type { SimRegistry } from './sim-registry.ts'

export interface CoordinatorNodeParts extends NodeParts {
  readonly id: number
  /** A service that all coordinators share; absent: a registry of its own on its disk. */
  readonly registry: SimRegistry | undefined
  /** What a planted bug puts between the coordinator and its registry. */
  readonly wrapRegistry: (registry: Registry) => Registry
}

/** How long a stop in good order may take. */
const stopMs = 20_000

/**
 * A machine that runs a coordinator.
 *
 *    down ──start──▶ starting ──▶ up ──stop──▶ stopping ──▶ down
 *    starting | up | stopping ──kill──▶ down, and started again by itself a little later
 * A process may be paused, and goes on later as if no time had passed.
 */
export class CoordinatorNode {
  readonly name: string
  readonly address: string
  readonly disk: SimDisk
  readonly wall: WallSkew = { skewMs: 0 }
  readonly #parts: CoordinatorNodeParts
  #life: Life = { isOver: true }
  #coordinator: Coordinator | undefined
  #state: 'down' | 'starting' | 'up' | 'stopping' = 'down'

  constructor(parts: CoordinatorNodeParts) {
    const { id, scheduler, random, trace } = parts
    this.#parts = parts
    this.name = `coordinator-${id}`
    this.address = `${this.name}:7700`
    this.disk = new SimDisk(this.name, { clock: scheduler, random: random.fork(), trace })
  }

  get isUp(): boolean {
    return this.#state === 'up'
  }

  /** Whether it believes that it leads. */
  get isLeading(): boolean {
    return this.#coordinator?.health().isLeading === true
  }

  start(): void {
    if (this.#state !== 'down') return
    const life: Life = { isOver: false }
    this.#life = life
    this.#state = 'starting'
    this.#parts.trace.event(this.name, 'starts')
    this.#open(life).then(
      (coordinator) => {
        if (life.isOver) return
        this.#coordinator = coordinator
        this.#state = 'up'
        this.#parts.trace.event(this.name, 'is_up')
      },
      (error: unknown) => this.#ended(life, error),
    )
  }

  kill(mode: CrashMode): void {
    if (this.#state === 'down') return
    const { network, trace } = this.#parts
    trace.event(this.name, 'dies', mode)
    network.nodeGone(this.name, { isPowerCut: mode !== 'kill' })
    this.#down(mode)
  }

  /** A stop in good order, then a start. */
  restart(): void {
    const coordinator = this.#coordinator
    const life = this.#life
    if (this.#state !== 'up' || coordinator === undefined) return
    this.#parts.trace.event(this.name, 'stops')
    this.#state = 'stopping'
    coordinator.close().then(
      () => {
        if (life.isOver) return
        this.#parts.trace.event(this.name, 'stopped')
        this.#parts.network.nodeGone(this.name, { isPowerCut: false })
        this.#down('kill')
      },
      (error: unknown) => this.#ended(life, error),
    )
    this.#parts.scheduler.after(stopMs, () => {
      if (!life.isOver) this.kill('kill')
    })
  }

  /** The process does nothing for a while, and then goes on: it may believe that it leads still. */
  pause(forMs: number): void {
    const life = this.#life
    const { scheduler, trace, registry } = this.#parts
    if (life.isOver || life.held !== undefined) return
    trace.event(this.name, 'pauses', forMs)
    pause(life)
    registry?.processPaused(this.name)
    scheduler.after(forMs, () => {
      if (life.isOver) return
      trace.event(this.name, 'wakes')
      wake(scheduler, life)
    })
  }

  #down(mode: CrashMode): void {
    const { scheduler, random, registry } = this.#parts
    this.#life.isOver = true
    this.#coordinator = undefined
    this.#state = 'down'
    this.disk.crash(mode)
    registry?.processGone(this.name)
    scheduler.after(between(random, 10, 1_500), () => this.start())
  }

  async #open(life: Life): Promise<Coordinator> {
    const { id, scheduler, random, network, wrapRegistry } = this.#parts
    const onFatal = (error: MqError): void => this.#ended(life, error)
    const registry = wrapRegistry(await this.#registry(life, onFatal))
    return startCoordinator({
      id,
      registry,
      transport: network.transport(this.name, life),
      clock: lifeClock(scheduler, life, this.wall),
      random: random.fork(),
      log: this.#log(),
      listen: this.address,
      onFatal,
    })
  }

  async #registry(life: Life, onFatal: (error: MqError) => void): Promise<Registry> {
    const { registry } = this.#parts
    if (registry !== undefined) return registry.reachedFrom(this.name, life)
    return EmbeddedRegistry.open({ storage: this.disk.storage, onFatal, snapshotAfterBytes: 4_096 })
  }

  /** What a coordinator itself takes for a defect is one. */
  #log(): Log {
    const log = nodeLog(this.name, this.#parts.trace)
    return {
      ...log,
      error: (event, fields) => {
        log.error(event, fields)
        if (event !== 'defect') return
        this.#parts.defect(
          `${this.name}: ${String(fields?.['request'])}: ${String(fields?.['error'])}`,
        )
      },
    }
  }

  #ended(life: Life, error: unknown): void {
    if (life.isOver) return
    const why = error instanceof Error ? `${error.name}: ${error.message}` : String(error)
    this.#parts.trace.event(this.name, 'fails', why)
    if (!this.#isExplained(error)) {
      const stack = error instanceof Error ? `\n${error.stack}` : ''
      this.#parts.defect(`${this.name} failed: ${why}${stack}`)
    }
    this.kill('kill')
  }

  #isExplained(error: unknown): boolean {
    const { registry } = this.#parts
    // Before it knew who leads, the session with the registry ended, or another one was faster.
    if (registry !== undefined)
      return registry.faults > 0 && isMqError(error, 'registry_unavailable', 'not_coordinator')
    return (
      this.disk.faults > 0 && isMqError(error, 'disk_failed', 'disk_full', 'registry_unavailable')
    )
  }
}
