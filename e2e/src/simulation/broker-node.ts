import { authenticate, crc32 } from '@popmq/kit/checksum'
import { Broker, type BrokerOptions } from '@popmq/broker'
import { between, type Random, type Storage } from '@popmq/kit'
import type { CrashMode, Scheduler, SeededRandom } from '@popmq/kit/testing'
import { isMqError } from '@popmq/protocol'
import { type Life, lifeClock, type WallSkew } from './life.ts'
import type { SimNetwork } from './network.ts'
import { nodeLog } from './node-log.ts'
import { SimDisk } from './sim-disk.ts'
import type { Trace } from './trace.ts'

export interface NodeParts {
  readonly scheduler: Scheduler
  readonly random: SeededRandom
  readonly network: SimNetwork
  readonly trace: Trace
  /** Something happened that no fault explains. */
  readonly defect: (what: string) => void
  /** A process ended without good order. */
  readonly crashed: (node: string) => void
  /** A process ended, in good order or not. */
  readonly ended: (node: string) => void
}

export interface BrokerNodeParts extends NodeParts {
  readonly options: Omit<BrokerOptions, 'listen'>
  /** What a planted bug puts between the broker and its disk. */
  readonly wrapStorage: (storage: Storage) => Storage
}

/** What a broker may fail with when its disk had a fault, or while nodes come and go. */
const explained = ['disk_failed', 'disk_full', 'broker_id_in_use', 'closed', 'port_in_use'] as const

/**
 * A machine that runs a broker.
 *
 *    down ──start──▶ starting ──▶ up ──stop──▶ stopping ──▶ down
 *    starting | up | stopping ──kill──▶ down, and started again by itself a little later
 */
export class BrokerNode {
  readonly name: string
  readonly address: string
  readonly disk: SimDisk
  readonly wall: WallSkew = { skewMs: 0 }
  readonly #parts: BrokerNodeParts
  #life: Life = { isOver: true }
  #broker: Broker | undefined
  #state: 'down' | 'starting' | 'up' | 'stopping' = 'down'

  constructor(parts: BrokerNodeParts) {
    const { options, scheduler, random, trace } = parts
    this.#parts = parts
    this.name = `broker-${options.id}`
    this.address = `${this.name}:7710`
    this.disk = new SimDisk(this.name, { clock: scheduler, random: random.fork(), trace })
  }

  get isUp(): boolean {
    return this.#state === 'up'
  }

  start(): void {
    if (this.#state !== 'down') return
    const { scheduler, network, trace, options, wrapStorage } = this.#parts
    const life: Life = { isOver: false }
    this.#life = life
    this.#state = 'starting'
    trace.event(this.name, 'starts')
    const ports = {
      storage: wrapStorage(this.disk.storage),
      transport: network.transport(this.name, life),
      clock: lifeClock(scheduler, life, this.wall),
      random: this.#random(),
      crc32,
      authenticate,
      log: nodeLog(this.name, trace),
    }
    Broker.start(ports, { ...options, listen: this.address }).then(
      (broker) => this.#started(life, broker),
      (error: unknown) => this.#ended(life, 'start', error),
    )
  }

  /** SIGKILL, or a power cut: what is on the disk afterwards depends on `mode`. */
  kill(mode: CrashMode): void {
    if (this.#state === 'down') return
    const { network, trace, crashed, ended } = this.#parts
    trace.event(this.name, 'dies', mode)
    this.#life.isOver = true
    this.#broker = undefined
    this.#state = 'down'
    network.nodeGone(this.name, { isPowerCut: mode !== 'kill' })
    this.disk.crash(mode)
    crashed(this.name)
    ended(this.name)
    this.startSoon()
  }

  /** A stop in good order, then a start. */
  restart(): void {
    const broker = this.#broker
    const life = this.#life
    if (this.#state !== 'up' || broker === undefined) return
    this.#parts.trace.event(this.name, 'stops')
    this.#state = 'stopping'
    broker.close().then(
      () => this.#stopped(life),
      (error: unknown) => this.#ended(life, 'stop', error),
    )
    this.#parts.scheduler.after(20_000, () => {
      if (!life.isOver) this.kill('kill')
    })
  }

  startSoon(): void {
    this.#parts.scheduler.after(between(this.#parts.random, 10, 1_500), () => this.start())
  }

  #started(life: Life, broker: Broker): void {
    if (life.isOver) return
    this.#broker = broker
    this.#state = 'up'
    this.#parts.trace.event(this.name, 'is_up')
    void broker.failed.then((error) => this.#ended(life, 'run', error))
  }

  #stopped(life: Life): void {
    if (life.isOver) return
    this.#parts.trace.event(this.name, 'stopped')
    life.isOver = true
    this.#broker = undefined
    this.#state = 'down'
    this.#parts.network.nodeGone(this.name, { isPowerCut: false })
    this.disk.crash('kill')
    this.#parts.ended(this.name)
    this.startSoon()
  }

  /** The process ends itself, as it must when it cannot trust its disk. */
  #ended(life: Life, during: string, error: unknown): void {
    if (life.isOver) return
    const why = error instanceof Error ? `${error.name}: ${error.message}` : String(error)
    this.#parts.trace.event(this.name, 'fails', during, why)
    if (!this.#isExplained(error)) {
      const stack = error instanceof Error ? causeOf(error) : ''
      this.#parts.defect(`${this.name} failed (${during}): ${why}${stack}`)
    }
    this.kill('kill')
  }

  #isExplained(error: unknown): boolean {
    const isDisk = error instanceof Error && error.name === 'StorageError'
    // On a full disk a broker cannot begin its epoch: it is started again until there is room.
    if (isDisk || isMqError(error, 'disk_failed', 'outcome_unknown')) return this.disk.faults > 0
    // Upkeep that met a failing disk names it as its cause.
    if (isMqError(error, 'internal')) return this.disk.faults > 0 && isStorageError(error.cause)
    return isMqError(error, ...explained)
  }

  #random(): Random {
    return this.#parts.random.fork()
  }
}

function isStorageError(cause: unknown): boolean {
  return cause instanceof Error && cause.name === 'StorageError'
}

function causeOf({ stack, cause }: Error): string {
  const inner = cause instanceof Error ? `\n${cause.stack}` : ''
  return `\n${stack}${inner}`
}
