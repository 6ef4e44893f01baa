import { createServer } from 'node:net'
import { present } from '@popmq/kit'
import { MqError } from '@popmq/client'
import { RoleProcess } from './role-process.ts'

export interface ServerOptions {
  /** The `popmq` program, a JavaScript file. */
  readonly popmq: string
  readonly data: string
  readonly nodeFlags: readonly string[]
  /** Further flags for `popmq dev`. @defaultValue none */
  readonly flags?: readonly string[]
}

/** `popmq dev` in a process of its own, on free ports. */
export class ServerProcess {
  readonly servers: string
  readonly #role: RoleProcess

  private constructor(servers: string, role: RoleProcess) {
    this.servers = servers
    this.#role = role
  }

  /** @throws MqError `unreachable` when it does not come up */
  static async start({
    popmq,
    data,
    nodeFlags,
    flags = [],
  }: ServerOptions): Promise<ServerProcess> {
    const place = ['--data', data, '--port-base', String(await freePortBase())]
    const command = ['dev', ...place, ...flags]
    const role = await RoleProcess.start({ popmq, nodeFlags, command })
    return new ServerProcess(present(role.said.coordinator, 'dev names its coordinator'), role)
  }

  get pid(): number {
    return this.#role.pid
  }

  /** From the start of the process until it was ready. */
  get readyMs(): number {
    return this.#role.readyMs
  }

  /** Resolves when it has ended. */
  get lost(): Promise<MqError> {
    return this.#role.lost
  }

  /** Asks it to drain, so that its profile is written. */
  close(): Promise<void> {
    return this.#role.close()
  }
}

const tries = 20

/** A base whose ports for coordinator and broker are free at this moment. */
export async function freePortBase(): Promise<number> {
  for (let count = 0; count < tries; count += 1) {
    const base = 20_000 + 100 * Math.floor(Math.random() * 120)
    if ((await isFree(base)) && (await isFree(base + 10))) return base
  }
  throw new MqError('port_in_use', `no free ports were found in ${tries} tries`)
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.on('error', () => resolve(false))
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () =>
      server.close(() => resolve(true)),
    )
  })
}
