/** A peer's server as a process of its own, stopped by its id. */
import { type ChildProcess, spawn } from 'node:child_process'
import { createConnection } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import { MqError } from '@popmq/client'
import { type Closable, deferred } from '@popmq/kit'

export interface ProgramOptions {
  /** For messages. */
  readonly name: string
  readonly args: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  readonly cwd: string
  /** It is ready when it takes connections on all of them. */
  readonly ports: readonly number[]
}

const readyMs = 90_000
const endMs = 30_000
const lookMs = 100
const keptChars = 2_000

export class Program implements Closable {
  readonly #child: ChildProcess
  readonly #name: string
  readonly #gone = deferred<MqError>()
  #said = ''
  #isGone = false

  private constructor(command: string, { name, args, env, cwd }: ProgramOptions) {
    this.#name = name
    // In a session of its own: a Ctrl-C is for the measurement, which then stops all in order.
    this.#child = spawn(command, args, {
      cwd,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
    })
    const keep = (text: Buffer): void => {
      this.#said = (this.#said + text.toString()).slice(-keptChars)
    }
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.on('data', keep)
      stream?.on('error', (error) => keep(Buffer.from(error.message)))
    }
    this.#child.on('error', (error) => this.#ended(error.message))
    this.#child.on('exit', (code, signal) => this.#ended(`it ended with ${signal ?? code}`))
    process.on('exit', this.#kill)
  }

  /** @throws MqError `unreachable` when it does not come up */
  static async start(command: string, options: ProgramOptions): Promise<Program> {
    const program = new Program(command, options)
    try {
      for (const port of options.ports) await program.#untilListening(port)
      return program
    } catch (error) {
      await program.close()
      throw error
    }
  }

  /** Resolves when it has ended. */
  get lost(): Promise<MqError> {
    return this.#gone.promise
  }

  async close(): Promise<void> {
    if (this.#isGone) return
    this.#child.kill('SIGTERM')
    const first = await Promise.race([this.lost, setTimeout(endMs, undefined, { ref: false })])
    if (first === undefined) this.#child.kill('SIGKILL')
    await this.lost
  }

  async #untilListening(port: number): Promise<void> {
    const from = performance.now()
    while (!(await canConnect(port))) {
      const isLate = performance.now() - from > readyMs
      if (isLate || this.#isGone) {
        const lines = this.#said.trim().split('\n').slice(-3).join(' ')
        const why = isLate ? `it did not listen on its port within ${readyMs} ms` : 'it ended'
        throw new MqError('unreachable', `${this.#name} did not start: ${why}: ${lines}`)
      }
      await setTimeout(lookMs)
    }
  }

  readonly #kill = (): void => void this.#child.kill('SIGKILL')

  #ended(how: string): void {
    this.#isGone = true
    process.off('exit', this.#kill)
    this.#gone.resolve(new MqError('connection_lost', `${this.#name}: ${how}`))
  }
}

function canConnect(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ port, host: '127.0.0.1' })
    const told = (is: boolean): void => {
      socket.destroy()
      resolve(is)
    }
    socket.on('connect', () => told(true))
    socket.on('error', () => told(false))
  })
}
