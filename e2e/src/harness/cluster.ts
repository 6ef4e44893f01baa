import { type Client, connect, type ConnectOptions } from '@popmq/client'
import { present } from '@popmq/kit'
import { type CliResult, popmq, startPopmq } from './popmq.ts'
import { freePorts } from './port.ts'
import type { Program } from './program.ts'
import { RoleProcess } from './role-process.ts'
import type { Scene } from './scenario.ts'
import { until } from './waiting.ts'

export interface ClusterOptions {
  /** The hosts of a ZooKeeper that the coordinators share. @defaultValue one coordinator, on a data directory */
  readonly zookeeper?: string
  /** How many, with `zookeeper`. @defaultValue 1 */
  readonly coordinators?: number
  /** Of each coordinator. @defaultValue none */
  readonly coordinatorFlags?: readonly string[]
  /** @defaultValue 1 */
  readonly brokers?: number
  /** The data directory of the broker with this id. @defaultValue `broker-<id>` in the scene's folder */
  readonly brokerData?: (id: number) => string
  /** Starts only the coordinators: brokers are started by the scenario. */
  readonly brokersLater?: boolean
}

/** Coordinators and brokers, each a process of its own. */
export class Cluster {
  /** host:port of each coordinator. */
  readonly server: string
  readonly coordinators: readonly RoleProcess[]
  readonly brokers: readonly RoleProcess[]
  readonly #scene: Scene

  private constructor(
    scene: Scene,
    roles: { server: string; coordinators: RoleProcess[]; brokers: RoleProcess[] },
  ) {
    this.#scene = scene
    this.server = roles.server
    this.coordinators = roles.coordinators
    this.brokers = roles.brokers
  }

  static async start(scene: Scene, options: ClusterOptions = {}): Promise<Cluster> {
    const {
      brokers = 1,
      brokersLater = false,
      brokerData = (id) => scene.path(`broker-${id}`),
    } = options
    const coordinators = await coordinatorRoles(scene, options)
    const server = coordinators.map(({ address }) => address).join(',')
    const all = await Promise.all(
      idsTo(brokers).map(async (id) =>
        brokerRole(scene, { id, server, data: brokerData(id), port: await freePorts() }),
      ),
    )
    await Promise.all(coordinators.map((coordinator) => coordinator.start()))
    if (!brokersLater) await Promise.all(all.map((broker) => broker.start()))
    return new Cluster(scene, { server, coordinators, brokers: all })
  }

  /** The first coordinator. */
  get coordinator(): RoleProcess {
    return present(this.coordinators[0], 'a cluster has a coordinator')
  }

  /** The coordinator that leads, once one does. */
  async leader(): Promise<RoleProcess> {
    let leader: RoleProcess | undefined
    await until(
      async () => {
        for (const one of this.coordinators) if (await isLeading(one)) leader = one
        return leader !== undefined
      },
      { what: 'a coordinator to lead' },
    )
    return present(leader, 'it was waited for')
  }

  /** The broker with this id, from 1. */
  broker(id = 1): RoleProcess {
    const found = this.brokers[id - 1]
    if (found === undefined) throw new Error(`there is no broker ${id}`)
    return found
  }

  /** Starts the coordinator again and waits until every broker has its session back. */
  async restartCoordinator(): Promise<void> {
    await this.coordinator.start()
    await using client = await connect(this.server)
    const hasSessions = async (): Promise<boolean> => {
      const { brokers } = await client.admin().cluster()
      return brokers.every(({ alive }) => alive)
    }
    await until(hasSessions, { what: 'the brokers to have their sessions back' })
  }

  connect(options: ConnectOptions = {}): Promise<Client> {
    return connectTo(this.#scene, this.server, options)
  }

  /** Runs `popmq …` against it. */
  popmq(...args: string[]): Promise<CliResult> {
    return popmq(args, { server: this.server })
  }

  /** Runs `popmq …` and hands back what it printed. @throws Error when it does not end with 0 */
  async done(...args: string[]): Promise<CliResult> {
    const result = await this.popmq(...args)
    if (result.code === 0) return result
    throw new Error(
      `popmq ${args.join(' ')} ended with ${result.code ?? result.signal}: ${result.stderr}`,
    )
  }

  /** Starts `popmq …` against it. */
  startPopmq(...args: string[]): Program {
    const program = this.#scene.keep(startPopmq(args, { server: this.server }))
    this.#scene.onFailure(() => `── ${program.name}\n${program.stderr}`)
    return program
  }
}

async function coordinatorRoles(
  scene: Scene,
  { zookeeper, coordinators = 1, coordinatorFlags: flags = [] }: ClusterOptions,
): Promise<RoleProcess[]> {
  return Promise.all(
    idsTo(zookeeper === undefined ? 1 : coordinators).map(async (id) => {
      const registry =
        zookeeper === undefined
          ? (['--data', scene.path('coordinator')] as const)
          : (['--zookeeper', zookeeper] as const)
      return coordinatorRole(scene, { id, registry, flags, port: await freePorts() })
    }),
  )
}

export interface CoordinatorPlace {
  readonly id: number
  readonly registry: readonly ['--zookeeper' | '--data', string]
  readonly port: number
  readonly flags?: readonly string[]
}

/** A coordinator that is not started yet. */
export function coordinatorRole(
  scene: Scene,
  { id, registry, port, flags = [] }: CoordinatorPlace,
): RoleProcess {
  const address = `127.0.0.1:${port}`
  const args = ['coordinator', '--id', String(id), '--listen', address, ...registry, ...flags]
  return role(scene, { name: `coordinator ${id}`, address, args })
}

/** False while it does not answer. */
export async function isLeading(coordinator: RoleProcess): Promise<boolean> {
  if (!coordinator.isRunning || (await coordinator.readiness()) !== 200) return false
  return (await coordinator.metric('popmq_coordinator_leading')) === 1
}

function idsTo(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index + 1)
}

export interface BrokerPlace {
  readonly id: number
  readonly server: string
  readonly data: string
  readonly port: number
}

/** A broker that is not started yet. */
export function brokerRole(scene: Scene, { id, server, data, port }: BrokerPlace): RoleProcess {
  const address = `127.0.0.1:${port}`
  const args = [
    'broker',
    '--id',
    String(id),
    '--coordinators',
    server,
    '--data',
    data,
    '--listen',
    address,
  ]
  return role(scene, { name: `broker ${id}`, address, args })
}

/** `popmq dev`: coordinator and broker in one process, not started yet. */
export async function devRole(
  scene: Scene,
  data: string,
): Promise<RoleProcess & { readonly server: string }> {
  const base = await freePorts(11)
  const server = `127.0.0.1:${base}`
  const args = ['dev', '--data', data, '--port-base', String(base), '--log-level', 'info']
  // Its broker serves last.
  return Object.assign(role(scene, { name: 'dev', address: `127.0.0.1:${base + 10}`, args }), {
    server,
  })
}

export async function connectTo(
  scene: Scene,
  server: string,
  options: ConnectOptions = {},
): Promise<Client> {
  return scene.keep(await connect(server, options))
}

function role(
  scene: Scene,
  settings: { name: string; address: string; args: readonly string[] },
): RoleProcess {
  const process = scene.keep(new RoleProcess(settings))
  scene.onFailure(() => process.output)
  return process
}
