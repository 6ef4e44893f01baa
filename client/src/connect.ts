import { hostname } from 'node:os'
import { crc32 } from '@popmq/kit/checksum'
import { type Closable, closeAll, systemClock, systemRandom } from '@popmq/kit'
import { metadata, MqError } from '@popmq/protocol'
import { parseAddress, type Transport, webSocketTransport } from '@popmq/transport'
import { abortable } from './aborting.ts'
import { RemoteAdmin } from './admin.ts'
import type { Admin } from './api/admin.ts'
import type { Client, ConnectOptions } from './api/client.ts'
import type { GroupConsumer, GroupConsumerOptions } from './api/group-consumer.ts'
import type { PopConsumer, PopConsumerOptions } from './api/pop-consumer.ts'
import type { Producer, ProducerOptions } from './api/producer.ts'
import type { PullConsumer, PullConsumerOptions } from './api/pull-consumer.ts'
import type { Worker, WorkerOptions, WorkHandler } from './api/worker.ts'
import { ConnectionPool } from './connection-pool.ts'
import { Coordinators } from './coordinators.ts'
import { groupConsumerConfig } from './group-consumer-config.ts'
import { MemberConsumer } from './group-consumer.ts'
import { withDefaults } from './options.ts'
import { popConsumerConfig } from './pop-consumer-config.ts'
import { LeasingConsumer, type PopConsumerDeps } from './pop-consumer.ts'
import { producerConfig } from './producer-config.ts'
import { BatchingProducer } from './producer.ts'
import { pullConsumerConfig } from './pull-consumer-config.ts'
import { PollingConsumer } from './pull-consumer.ts'
import { RouteCache } from './route-cache.ts'
import { SharedAcks } from './shared-acks.ts'
import { workerConfig } from './worker-config.ts'
import { HandlingWorker } from './worker.ts'

type ConnectConfig = Required<Omit<ConnectOptions, 'signal' | 'transport'>> & {
  readonly signal: AbortSignal | undefined
  readonly transport: Transport | undefined
}

const defaults: ConnectConfig = {
  client: 'popmq-client',
  connectWithinMs: 10_000,
  requestTimeoutMs: 10_000,
  refreshMs: 30_000,
  clock: systemClock,
  random: systemRandom,
  signal: undefined,
  transport: undefined,
}

const ranges = {
  connectWithinMs: [1, 600_000],
  requestTimeoutMs: [1, 600_000],
  refreshMs: [100, 3_600_000],
} as const

/**
 * Connects to a cluster through its coordinators: `host:port`, several separated by commas or as a list.
 * @throws MqError `unreachable` or `timed_out` when none answers within `connectWithinMs`; `invalid_config` for an
 * address, `invalid_request` for an option; `unsupported_version`, `aborted`
 */
export async function connect(
  servers: string | readonly string[],
  options: ConnectOptions = {},
): Promise<Client> {
  const config = withDefaults<ConnectConfig>('connect', options, { defaults, ranges })
  const { clock, random, client, requestTimeoutMs, refreshMs, signal } = config
  const transport = config.transport ?? webSocketTransport()
  const pool = new ConnectionPool({ transport, clock, random, client })
  const coordinators = new Coordinators(addressesOf(servers), {
    pool,
    clock,
    random,
    requestTimeoutMs,
  })
  try {
    const how = { withinMs: config.connectWithinMs, isRepeatable: true }
    const asking = coordinators.call(
      metadata,
      { topics: [] },
      signal === undefined ? how : { ...how, signal },
    )
    const { clusterId } = await abortable(asking, signal)
    pool.clusterId = clusterId
  } catch (error) {
    await pool.close()
    throw error
  }
  const routes = new RouteCache({ coordinators, clock, random, refreshMs })
  routes.start()
  const acks = new SharedAcks(pool)
  return new ConnectedClient({ ...config, pool, coordinators, routes, acks, crc32 })
}

type ConnectedClientDeps = ConnectConfig & {
  readonly pool: ConnectionPool
  readonly coordinators: Coordinators
  readonly routes: RouteCache
  readonly acks: SharedAcks
  readonly crc32: (bytes: Uint8Array) => number
}

/** Makes the parts that users hold, and closes them. */
class ConnectedClient implements Client {
  readonly clusterId: string
  readonly #deps: ConnectedClientDeps
  readonly #admin: RemoteAdmin
  readonly #producers = new Set<Producer>()
  readonly #consumers = new Set<Closable>()
  readonly #workers = new Set<Worker>()
  #closing: Promise<void> | undefined

  constructor(deps: ConnectedClientDeps) {
    this.#deps = deps
    this.#admin = new RemoteAdmin(deps)
    this.clusterId = deps.pool.clusterId ?? ''
  }

  producer(options: ProducerOptions = {}): Producer {
    this.#refuseClosed()
    const forget = (): void => void this.#producers.delete(producer)
    const producer = new BatchingProducer(producerConfig(options), this.#deps, forget)
    this.#producers.add(producer)
    return producer
  }

  pullConsumer(options: GroupConsumerOptions): GroupConsumer
  pullConsumer(options: PullConsumerOptions): PullConsumer
  pullConsumer(options: GroupConsumerOptions | PullConsumerOptions): PullConsumer {
    this.#refuseClosed()
    const forget = (): void => void this.#consumers.delete(consumer)
    const consumer = this.#consumer(options, forget)
    this.#consumers.add(consumer)
    return consumer
  }

  popConsumer(options: PopConsumerOptions): PopConsumer {
    this.#refuseClosed()
    const forget = (): void => void this.#consumers.delete(consumer)
    const config = popConsumerConfig(options)
    const consumer = new LeasingConsumer(config, this.#popDeps(config.consumer), forget)
    this.#consumers.add(consumer)
    return consumer
  }

  worker(options: WorkerOptions, handler: WorkHandler): Worker {
    this.#refuseClosed()
    const forget = (): void => void this.#workers.delete(worker)
    const config = workerConfig(options, handler)
    const deps = { ...this.#popDeps(config.consumer), handler }
    const worker = new HandlingWorker(config, deps, forget)
    this.#workers.add(worker)
    return worker
  }

  #popDeps(consumer: string | undefined): PopConsumerDeps {
    const { client, random } = this.#deps
    const end = random.fill(new Uint8Array(4)).reduce((text, byte) => text + hex(byte), '')
    return { ...this.#deps, admin: this.#admin, consumer: consumer ?? `${client}-${end}` }
  }

  #consumer(options: GroupConsumerOptions | PullConsumerOptions, forget: () => void): PullConsumer {
    if (!('group' in options)) {
      return new PollingConsumer(pullConsumerConfig(options), this.#deps, forget)
    }
    // With a transport of its own a client shares its process with others, and a simulation is the same each time.
    const isAlone = this.#deps.transport === undefined
    const identity = isAlone ? `${hostname().slice(0, 64)}:${process.pid}` : this.#deps.client
    const deps = { ...this.#deps, admin: this.#admin, identity }
    return new MemberConsumer(groupConsumerConfig(options), deps, forget)
  }

  admin(): Admin {
    return this.#admin
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #close(): Promise<void> {
    const { pool, routes } = this.#deps
    const parts: Closable[] = [pool, { close: () => Promise.resolve(routes.close()) }]
    try {
      await Promise.all([...this.#workers].map((worker) => worker.close()))
      await Promise.all([...this.#consumers].map((consumer) => consumer.close()))
      await Promise.all([...this.#producers].map((producer) => producer.close()))
    } finally {
      await closeAll(parts)
    }
  }

  #refuseClosed(): void {
    if (this.#closing !== undefined) throw new MqError('closed', 'the client is closed')
  }
}

function hex(byte: number): string {
  return byte.toString(16).padStart(2, '0')
}

/** @throws MqError `invalid_config` */
function addressesOf(servers: string | readonly string[]): string[] {
  const listed = typeof servers === 'string' ? servers.split(',') : servers
  const addresses = listed.map((address) => address.trim()).filter((address) => address !== '')
  if (addresses.length === 0) {
    throw new MqError('invalid_config', 'connect takes the address of a coordinator: host:port')
  }
  for (const address of addresses) parseAddress(address)
  return addresses
}
