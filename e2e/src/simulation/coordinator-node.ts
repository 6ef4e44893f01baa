import {
  type Coordinator,
  EmbeddedRegistry,
  MemoryRegistry,
  type Registry,
  startCoordinator,
} from '@popmq/coordinator'
import { between } from '@popmq/kit'
import type { CrashMode } from '@popmq/kit/testing'
import { isMqError, type MqError } from '@popmq/protocol'
import type { NodeParts } from './broker-node.ts'
import { type Life, lifeClock, type WallSkew } from './life.ts'
import { nodeLog } from './node-log.ts'
import { SimDisk } from './sim-disk.ts'

/**
 * A machine that runs the coordinator, with its registry on a disk or, as if it were a service of its own, in memory
 * that outlives it.
 *
 *    down ──start──▶ starting ──▶ up ──kill──▶ down, and started again by itself a little later
 */
export class CoordinatorNode {
  readonly name = 'coordinator'
  readonly address = 'coordinator:7700'
  readonly disk: SimDisk
  readonly wall: WallSkew = { skewMs: 0 }
  readonly #parts: NodeParts
  readonly #memory: MemoryRegistry | undefined
  #life: Life = { isOver: true }
  #state: 'down' | 'starting' | 'up' = 'down'

  constructor(parts: NodeParts, registry: 'embedded' | 'memory') {
    const { scheduler, random, trace } = parts
    this.#parts = parts
    this.#memory = registry === 'memory' ? new MemoryRegistry() : undefined
    this.disk = new SimDisk(this.name, { clock: scheduler, random: random.fork(), trace })
  }

  get isUp(): boolean {
    return this.#state === 'up'
  }

  start(): void {
    if (this.#state !== 'down') return
    const life: Life = { isOver: false }
    this.#life = life
    this.#state = 'starting'
    this.#parts.trace.event(this.name, 'starts')
    this.#open(life).then(
      () => {
        if (life.isOver) return
        this.#state = 'up'
        this.#parts.trace.event(this.name, 'is_up')
      },
      (error: unknown) => this.#ended(life, error),
    )
  }

  kill(mode: CrashMode): void {
    if (this.#state === 'down') return
    const { network, trace, scheduler, random } = this.#parts
    trace.event(this.name, 'dies', mode)
    this.#life.isOver = true
    this.#state = 'down'
    network.nodeGone(this.name, { isPowerCut: mode !== 'kill' })
    this.disk.crash(mode)
    scheduler.after(between(random, 10, 1_500), () => this.start())
  }

  async #open(life: Life): Promise<Coordinator> {
    const { scheduler, random, network, trace } = this.#parts
    const onFatal = (error: MqError): void => this.#ended(life, error)
    return startCoordinator({
      registry: await this.#registry(onFatal),
      transport: network.transport(this.name, life),
      clock: lifeClock(scheduler, life, this.wall),
      random: random.fork(),
      log: nodeLog(this.name, trace),
      listen: this.address,
      onFatal,
    })
  }

  async #registry(onFatal: (error: MqError) => void): Promise<Registry> {
    if (this.#memory !== undefined) return this.#memory
    return EmbeddedRegistry.open({ storage: this.disk.storage, onFatal, snapshotAfterBytes: 4_096 })
  }

  #ended(life: Life, error: unknown): void {
    if (life.isOver) return
    const why = error instanceof Error ? `${error.name}: ${error.message}` : String(error)
    this.#parts.trace.event(this.name, 'fails', why)
    const isDisk = isMqError(error, 'disk_failed', 'disk_full', 'registry_unavailable')
    if (!isDisk || this.disk.faults === 0) this.#parts.defect(`the coordinator failed: ${why}`)
    this.kill('kill')
  }
}
