import { type ChildProcess, spawn } from 'node:child_process'
import { createServer } from 'node:net'
import { createInterface } from 'node:readline'
import { deferred } from '@popmq/kit'
import { MqError } from '@popmq/client'

export interface ServerOptions {
  /** The `popmq` program, a JavaScript file. */
  readonly popmq: string
  readonly data: string
  readonly nodeFlags: readonly string[]
  /** Further flags for `popmq dev`. @defaultValue none */
  readonly flags?: readonly string[]
}

const readyMs = 30_000
const endMs = 25_000

/** `popmq dev` in a process of its own, on free ports. */
export class ServerProcess {
  readonly servers: string
  readonly #child: ChildProcess
  /** Resolves when it has ended. */
  readonly lost: Promise<MqError>

  private constructor(servers: string, child: ChildProcess, lost: Promise<MqError>) {
    this.servers = servers
    this.#child = child
    this.lost = lost
  }

  /** @throws MqError `unreachable` when it does not come up */
  static async start({
    popmq,
    data,
    nodeFlags,
    flags: more = [],
  }: ServerOptions): Promise<ServerProcess> {
    const portBase = await freePortBase()
    const flags = [
      '--data',
      data,
      '--port-base',
      String(portBase),
      '--json',
      '--log-level',
      'error',
      ...more,
    ]
    const child = spawn(process.execPath, [...nodeFlags, popmq, 'dev', ...flags], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { UV_THREADPOOL_SIZE: '16', ...process.env },
    })
    const lost = deferred<MqError>()
    const ready = deferred<string>()
    const fail = (why: string): void =>
      ready.reject(new MqError('unreachable', `popmq dev did not start: ${why}`))
    child.on('error', (error) => fail(error.message))
    child.on('exit', (code, signal) => {
      fail(`it ended with ${signal ?? code}`)
      lost.resolve(new MqError('connection_lost', `popmq dev ended with ${signal ?? code}`))
    })
    createInterface({ input: child.stdout }).on('line', (line) => ready.resolve(line))
    const timer = setTimeout(() => fail(`it said nothing in ${readyMs} ms`), readyMs)
    try {
      const { coordinator } = JSON.parse(await ready.promise) as { coordinator: string }
      return new ServerProcess(coordinator, child, lost.promise)
    } catch (error) {
      child.kill('SIGKILL')
      throw error
    } finally {
      clearTimeout(timer)
    }
  }

  /** Asks it to drain, so that its profile is written. */
  async close(): Promise<void> {
    this.#child.kill('SIGTERM')
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), endMs)
    await this.lost
    clearTimeout(timer)
  }
}

const tries = 20

/** A base whose ports for coordinator and broker are free at this moment. */
async function freePortBase(): Promise<number> {
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
