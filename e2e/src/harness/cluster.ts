import { type Client, connect, type ConnectOptions } from '@popmq/client'
import { type CliResult, popmq, startPopmq } from './popmq.ts'
import { freePorts } from './port.ts'
import type { Program } from './program.ts'
import { RoleProcess } from './role-process.ts'
import type { Scene } from './scenario.ts'
import { until } from './waiting.ts'

export interface ClusterOptions {
  /** @defaultValue 1 */
  readonly brokers?: number
  /** The data directory of the broker with this id. @defaultValue `broker-<id>` in the scene's folder */
  readonly brokerData?: (id: number) => string
  /** Starts only the coordinator: brokers are started by the scenario. */
  readonly brokersLater?: boolean
}

/** A coordinator and brokers, each a process of its own. */
export class Cluster {
  /** host:port of the coordinator. */
  readonly server: string
  readonly coordinator: RoleProcess
  readonly brokers: readonly RoleProcess[]
  readonly #scene: Scene

  private constructor(
    scene: Scene,
    roles: { server: string; coordinator: RoleProcess; brokers: RoleProcess[] },
  ) {
    this.#scene = scene
    this.server = roles.server
    this.coordinator = roles.coordinator
    this.brokers = roles.brokers
  }

  static async start(scene: Scene, options: ClusterOptions = {}): Promise<Cluster> {
    const {
      brokers = 1,
      brokersLater = false,
      brokerData = (id) => scene.path(`broker-${id}`),
    } = options
    const server = `127.0.0.1:${await freePorts()}`
    const coordinator = role(scene, {
      name: 'coordinator',
      address: server,
      args: ['coordinator', '--id', '1', '--listen', server, '--data', scene.path('coordinator')],
    })
    const ids = Array.from({ length: brokers }, (_, index) => index + 1)
    const all = await Promise.all(
      ids.map(async (id) =>
        brokerRole(scene, { id, server, data: brokerData(id), port: await freePorts() }),
      ),
    )
    await coordinator.start()
    if (!brokersLater) await Promise.all(all.map((broker) => broker.start()))
    return new Cluster(scene, { server, coordinator, brokers: all })
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
