import { Broker } from '@popmq/broker'
import { type Client, connect } from '@popmq/client'
import { type Coordinator, MemoryRegistry, startCoordinator } from '@popmq/coordinator'
import { assert, silentLog } from '@popmq/kit'
import { authenticate, crc32 } from '@popmq/kit/checksum'
import { MemoryStorage, Scheduler, SeededRandom } from '@popmq/kit/testing'
import { loopbackTransport } from '@popmq/transport'

/** A whole cluster in one process and in virtual time: nothing fails unless a test makes it fail. */
export class GroupWorld {
  readonly clock = new Scheduler()
  readonly random = new SeededRandom(1)
  readonly transport = loopbackTransport(this.clock)
  readonly #registry = new MemoryRegistry()
  #coordinator: Coordinator | undefined

  static async start(): Promise<GroupWorld> {
    const world = new GroupWorld()
    await world.until(world.startCoordinator())
    const { clock, transport } = world
    const storage = new MemoryStorage()
    const ports = {
      storage,
      transport,
      clock,
      crc32,
      authenticate,
      log: silentLog,
      random: world.random.fork(),
    }
    const options = { id: 1, coordinators: ['coordinator:1'], listen: 'broker:1' }
    await world.until(Broker.start(ports, options))
    return world
  }

  /** Lets virtual time pass until the promise settles, at most ten minutes. */
  async until<T>(promise: Promise<T>): Promise<T> {
    let isSettled = false
    const note = (): void => void (isSettled = true)
    promise.then(note, note)
    const done = await this.clock.runUntil(() => isSettled, this.clock.monotonic() + 600_000)
    assert(done, 'what a test waits for settles within ten minutes of virtual time')
    return promise
  }

  connect(): Promise<Client> {
    const { clock, transport } = this
    const random = this.random.fork()
    return this.until(connect('coordinator:1', { clock, transport, random }))
  }

  async startCoordinator(): Promise<void> {
    this.#coordinator = await startCoordinator({
      registry: this.#registry,
      transport: this.transport,
      clock: this.clock,
      random: this.random.fork(),
      log: silentLog,
      listen: 'coordinator:1',
    })
  }

  /** Ends in good order; its registry stays. */
  async stopCoordinator(): Promise<void> {
    await this.#coordinator?.close()
  }
}
