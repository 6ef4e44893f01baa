import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { deferred, present } from '@popmq/kit'
import { MqError } from '@popmq/client'

export interface RoleOptions {
  /** The `popmq` program, a JavaScript file. */
  readonly popmq: string
  /** What follows it: `dev`, `broker`, … with flags. */
  readonly command: readonly string[]
  readonly nodeFlags: readonly string[]
}

/** What a role says when it is ready: `dev` names its coordinator, the others their own address. */
export interface ReadyLine {
  readonly address?: string
  readonly coordinator?: string
}

const readyMs = 30_000
const endMs = 25_000

/** A role of `popmq` in a process of its own. */
export class RoleProcess {
  readonly pid: number
  readonly said: ReadyLine
  /** From the start of the process until it said that it is ready. */
  readonly readyMs: number
  /** Resolves when it has ended. */
  readonly lost: Promise<MqError>
  readonly #child: ChildProcess

  private constructor(child: ChildProcess, told: Pick<RoleProcess, 'said' | 'readyMs' | 'lost'>) {
    this.#child = child
    this.pid = present(child.pid, 'a process that said something has an id')
    this.said = told.said
    this.readyMs = told.readyMs
    this.lost = told.lost
  }

  /** @throws MqError `unreachable` when it does not come up */
  static async start({ popmq, command, nodeFlags }: RoleOptions): Promise<RoleProcess> {
    const name = `popmq ${command[0] ?? ''}`
    const startedMs = performance.now()
    const flags = [...nodeFlags, popmq, ...command, '--json', '--log-level', 'error']
    const child = spawn(process.execPath, flags, {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { UV_THREADPOOL_SIZE: '16', ...process.env },
    })
    const lost = deferred<MqError>()
    const ready = deferred<string>()
    const fail = (why: string): void =>
      ready.reject(new MqError('unreachable', `${name} did not start: ${why}`))
    child.on('error', (error) => fail(error.message))
    child.on('exit', (code, signal) => {
      fail(`it ended with ${signal ?? code}`)
      lost.resolve(new MqError('connection_lost', `${name} ended with ${signal ?? code}`))
    })
    createInterface({ input: child.stdout }).on('line', (line) => ready.resolve(line))
    const timer = setTimeout(() => fail(`it said nothing in ${readyMs} ms`), readyMs)
    try {
      const line = await ready.promise
      const tookMs = performance.now() - startedMs
      const said = JSON.parse(line) as ReadyLine
      return new RoleProcess(child, { said, readyMs: tookMs, lost: lost.promise })
    } catch (error) {
      child.kill('SIGKILL')
      throw error
    } finally {
      clearTimeout(timer)
    }
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  /** Asks it to drain, so that its profile is written. */
  async close(): Promise<void> {
    this.#child.kill('SIGTERM')
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), endMs)
    await this.lost
    clearTimeout(timer)
  }
}
