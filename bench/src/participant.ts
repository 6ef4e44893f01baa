/**
 * A process that takes part in a measurement and is told what to do over IPC:
 *    parent → child  { id, command, given }
 *    child → parent  { id, result } or { id, error: { name, what } }
 * It ends when the parent goes away.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { type Deferred, deferred, present } from '@popmq/kit'
import { isMqError, MqError } from '@popmq/client'

export type Command = (given: never) => Promise<object>

interface Call {
  readonly id: number
  readonly command: string
  readonly given: object
}

interface Answer {
  readonly id: number
  readonly result?: object
  readonly error?: { readonly name: string; readonly what: string }
}

/** Makes this process take part: answers the commands of its parent. */
export function takePart(commands: Readonly<Record<string, Command>>): void {
  process.on('disconnect', () => process.exit(0))
  process.on('message', (call: Call) => void answer(commands, call))
}

async function answer(
  commands: Readonly<Record<string, Command>>,
  { id, command, given }: Call,
): Promise<void> {
  try {
    const run = commands[command]
    if (run === undefined) throw new Error(`no command ${command}`)
    // The parent's `call` and the commands of the file it started are written against the same interfaces.
    process.send?.({ id, result: await run(given as never) } satisfies Answer)
  } catch (error) {
    const what = isMqError(error)
      ? error.what
      : error instanceof Error
        ? (error.stack ?? error.message)
        : String(error)
    const name = isMqError(error) ? error.name : 'internal'
    process.send?.({ id, error: { name, what } } satisfies Answer)
  }
}

const answerMs = 10 * 60_000
const endMs = 20_000

/** The parent's end of a participant. */
export class Participant {
  readonly #name: string
  readonly #child: ChildProcess
  readonly #waiting = new Map<number, Deferred<object>>()
  readonly #gone = deferred()
  readonly #lost = deferred<MqError>()
  #nextId = 1

  /** `nodeFlags` are for the child's Node.js. */
  constructor(file: URL, { name, nodeFlags }: { name: string; nodeFlags: readonly string[] }) {
    this.#name = name
    this.#child = fork(file, [], {
      execArgv: [...nodeFlags],
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    })
    this.#child.on('message', (message: Answer) => this.#answered(message))
    this.#child.on('error', (error) => this.#failAll(error.message))
    this.#child.on('exit', (code, signal) => {
      this.#failAll(`it ended with ${signal ?? code}`)
      this.#lost.resolve(new MqError('connection_lost', `the ${name} ended with ${signal ?? code}`))
      this.#gone.resolve()
    })
  }

  get pid(): number {
    return present(this.#child.pid, 'a forked process has an id')
  }

  /** Resolves when the child has ended. */
  get lost(): Promise<MqError> {
    return this.#lost.promise
  }

  /** @throws MqError what the child threw, or `connection_lost` when it ended, or `timed_out` after ten minutes */
  async call<R extends object>(command: string, given: object): Promise<R> {
    const id = this.#nextId++
    const answered = deferred<object>()
    this.#waiting.set(id, answered)
    const timer = setTimeout(() => {
      this.#waiting.delete(id)
      answered.reject(
        new MqError('timed_out', `the ${this.#name} did not ${command} in ${answerMs} ms`),
      )
    }, answerMs)
    try {
      if (this.#child.connected) this.#child.send({ id, command, given } satisfies Call)
      else throw new MqError('connection_lost', `the ${this.#name} has ended`)
      // The caller names what the command of that file gives.
      return (await answered.promise) as R
    } finally {
      clearTimeout(timer)
      this.#waiting.delete(id)
    }
  }

  /** Lets the child end by itself, so that its profile is written. */
  async close(): Promise<void> {
    if (this.#child.connected) this.#child.disconnect()
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), endMs)
    await this.#gone.promise
    clearTimeout(timer)
  }

  #answered({ id, result, error }: Answer): void {
    const answered = this.#waiting.get(id)
    if (error !== undefined)
      answered?.reject(new MqError('internal', `the ${this.#name}: ${error.name}: ${error.what}`))
    else answered?.resolve(result ?? {})
  }

  #failAll(why: string): void {
    for (const answered of this.#waiting.values()) {
      answered.reject(new MqError('connection_lost', `the ${this.#name} could not answer: ${why}`))
    }
    this.#waiting.clear()
  }
}
