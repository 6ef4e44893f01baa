import { type ChildProcess, spawn } from 'node:child_process'
import { lastAct } from './last-act.ts'
import { within } from './waiting.ts'

export interface ProgramOptions {
  readonly cwd?: string
  /** Over the environment of this process. */
  readonly env?: Readonly<Record<string, string>>
}

export interface Ended {
  /** undefined when a signal ended it. */
  readonly code: number | undefined
  readonly signal: NodeJS.Signals | undefined
  readonly stdout: string
  readonly stderr: string
}

/** What tells a Node program of ours that it runs under a test or npm must not reach the programs under test. */
const ownVariables = /^(?:NODE_TEST_CONTEXT|NODE_V8_COVERAGE|POPMQ_.*|npm_(?!config_).*)$/

/** A child process in a process group of its own, so that it goes with all that it started. */
export class Program {
  readonly ended: Promise<Ended>
  readonly #name: string
  readonly #child: ChildProcess
  #stdout = ''
  #lineCount = 0
  #stderr = ''
  #hasEnded = false

  constructor(command: string, args: readonly string[], { cwd, env }: ProgramOptions = {}) {
    this.#name = [command, ...args].join(' ')
    const own = Object.entries(process.env).filter(([name]) => !ownVariables.test(name))
    this.#child = spawn(command, args, {
      ...(cwd === undefined ? {} : { cwd }),
      env: { ...Object.fromEntries(own), ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    })
    const child = this.#child
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.#stdout += text
      this.#lineCount += text.split('\n').length - 1
    })
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.#stderr += text))
    const done = lastAct(() => this.#signal('SIGKILL'))
    this.ended = new Promise((resolve, reject) => {
      child.on('error', (error) => {
        done()
        reject(error)
      })
      child.on('exit', () => {
        this.#hasEnded = true
      })
      child.on('close', (code, signal) => {
        done()
        const output = { stdout: this.#stdout, stderr: this.#stderr }
        resolve({ code: code ?? undefined, signal: signal ?? undefined, ...output })
      })
    })
  }

  /** The command line, for messages. */
  get name(): string {
    return this.#name
  }

  get hasEnded(): boolean {
    return this.#hasEnded
  }

  /** What it wrote so far. */
  get stdout(): string {
    return this.#stdout
  }
  get stderr(): string {
    return this.#stderr
  }

  /** How many whole lines it wrote to stdout so far. */
  get lineCount(): number {
    return this.#lineCount
  }

  /** The objects that it wrote so far, one per whole line. @throws SyntaxError when a line is not JSON */
  get lines(): readonly JsonLine[] {
    return jsonLines(this.#stdout)
  }

  /** Sends a signal to it and all that it started. */
  signal(signal: NodeJS.Signals): void {
    this.#signal(signal)
  }

  /** Ends it and waits for the end. @throws Error when it does not end in time */
  async stop(signal: NodeJS.Signals, withinMs = 30_000): Promise<Ended> {
    this.#signal(signal)
    return within(this.ended, { what: `${this.#name} to end by ${signal}`, withinMs })
  }

  /** As `stop`, but the signal is for it alone, as of `kill`: what it started goes on. */
  async stopAlone(signal: NodeJS.Signals, withinMs = 30_000): Promise<Ended> {
    const { pid } = this.#child
    if (pid !== undefined && !this.#hasEnded) process.kill(pid, signal)
    return within(this.ended, { what: `${this.#name} to end by ${signal}`, withinMs })
  }

  /** Kills it if it still runs. */
  async close(): Promise<void> {
    if (!this.#hasEnded) await this.stop('SIGKILL')
  }

  #signal(signal: NodeJS.Signals): void {
    const { pid } = this.#child
    if (pid === undefined || this.#hasEnded) return
    process.kill(-pid, signal)
  }
}

export type JsonLine = Readonly<Record<string, unknown>>

export function jsonLines(text: string): JsonLine[] {
  const end = text.lastIndexOf('\n') + 1
  return text
    .slice(0, end)
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as JsonLine)
}
