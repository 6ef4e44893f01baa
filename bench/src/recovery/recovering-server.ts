import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { type Deferred, deferred, present } from '@popmq/kit'
import { MqError } from '@popmq/client'
import { freePortBase } from '../server-process.ts'
import { type RecoveryFigures, StartLog, type StartSteps } from './start-log.ts'

export interface RecoveringServerOptions {
  /** The `popmq` program, a JavaScript file. */
  readonly popmq: string
  readonly data: string
}

export interface ServerStart extends StartSteps, RecoveryFigures {
  /** When the process was started, on `performance.now()`. */
  readonly startedMs: number
}

const readyMs = 120_000
const endMs = 25_000

/**
 * `popmq dev` over one folder of data, at one address, time after time:
 *   ended    ─ start ─▶ running
 *   running  ─ stop, kill ─▶ ended
 */
export class RecoveringServer {
  readonly #options: RecoveringServerOptions
  readonly #portBase: number
  #life: Life | undefined

  private constructor(options: RecoveringServerOptions, portBase: number) {
    this.#options = options
    this.#portBase = portBase
  }

  static async on(options: RecoveringServerOptions): Promise<RecoveringServer> {
    return new RecoveringServer(options, await freePortBase())
  }

  get servers(): string {
    return `localhost:${this.#portBase}`
  }

  /** Resolves when the process ends, wanted or not. */
  get lost(): Promise<MqError> {
    return present(this.#life, 'start comes before lost').ended.promise
  }

  /** Resolves when it says that it is ready. @throws MqError `unreachable` when it does not come up */
  async start(): Promise<ServerStart> {
    const { popmq, data } = this.#options
    const place = ['--data', data, '--port-base', String(this.#portBase)]
    const startedAt = Date.now()
    const startedMs = performance.now()
    const child = spawn(
      process.execPath,
      [popmq, 'dev', ...place, '--json', '--log-level', 'info'],
      { stdio: ['ignore', 'pipe', 'pipe'], env: { UV_THREADPOOL_SIZE: '16', ...process.env } },
    )
    const life = new Life(child, child)
    this.#life = life
    await life.untilReady()
    return { startedMs, ...life.log.steps(startedAt), ...life.log.figures() }
  }

  /** A stop in good order. @returns how long it took, in ms @throws MqError `internal` when it was none */
  async stop(): Promise<number> {
    const life = present(this.#life, 'start comes before stop')
    const startedMs = performance.now()
    const code = await life.end('SIGTERM')
    if (code !== 0) throw new MqError('internal', `popmq dev ended with ${code}: ${life.account()}`)
    return performance.now() - startedMs
  }

  async kill(): Promise<void> {
    await present(this.#life, 'start comes before kill').end('SIGKILL')
  }

  /** Ends it, whatever it is doing. */
  async close(): Promise<void> {
    await this.#life?.end('SIGKILL')
  }
}

const mostAccount = 20

/** One process, from its start to its end. */
class Life {
  readonly log = new StartLog()
  readonly ended: Deferred<MqError> = deferred<MqError>()
  readonly #child: ChildProcess
  /** Undefined: it is. */
  readonly #ready = deferred<MqError | undefined>()
  readonly #account: string[] = []
  #code: number | null = null

  constructor(child: ChildProcess, { stdout, stderr }: { stdout: Readable; stderr: Readable }) {
    this.#child = child
    const fail = (why: string): void =>
      this.#ready.resolve(new MqError('unreachable', `popmq dev did not start: ${why}`))
    for (const stream of [stdout, stderr]) stream.on('error', (error) => fail(error.message))
    createInterface({ input: stdout }).on('line', () => this.#ready.resolve(undefined))
    createInterface({ input: stderr }).on('line', (line) => {
      this.log.take(line)
      this.#account.push(line)
      if (this.#account.length > mostAccount) this.#account.shift()
    })
    child.on('error', (error) => fail(error.message))
    // Both streams have been read to their ends by then.
    child.on('close', (code, signal) => {
      this.#code = code
      fail(`it ended with ${signal ?? code}: ${this.account()}`)
      this.ended.resolve(
        new MqError('connection_lost', `popmq dev ended with ${signal ?? code}: ${this.account()}`),
      )
    })
  }

  /** The last lines that it logged. */
  account(): string {
    return this.#account.join('\n')
  }

  async untilReady(): Promise<void> {
    const late = new MqError('unreachable', `popmq dev was not ready in ${readyMs} ms`)
    const timer = setTimeout(() => this.#ready.resolve(late), readyMs)
    const failure = await this.#ready.promise
    clearTimeout(timer)
    if (failure !== undefined) throw failure
  }

  /** @returns its exit code; null when a signal ended it */
  async end(signal: NodeJS.Signals): Promise<number | null> {
    this.#child.kill(signal)
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), endMs)
    await this.ended.promise
    clearTimeout(timer)
    return this.#code
  }
}
