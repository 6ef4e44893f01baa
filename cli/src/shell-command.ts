import { type ChildProcess, spawn } from 'node:child_process'
import type { Clock, Timer } from '@popmq/kit'
import { OutputTail } from './output-tail.ts'

/** How a command ended. */
export type CommandEnd =
  | { readonly kind: 'exited'; readonly exitCode: number; readonly stderr: string }
  | { readonly kind: 'killed'; readonly by: NodeJS.Signals; readonly stderr: string }
  | { readonly kind: 'not_started'; readonly error: Error }

export interface CommandGiven {
  /** All that it reads. */
  readonly stdin: string
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Has it ended: by SIGTERM, and by SIGKILL when that does not help. */
  readonly signal: AbortSignal
}

/** What is kept of stderr. */
const tailBytes = 6_000
const killAfterMs = 5_000
/** What is still to be read when a command has exited; longer its streams are held by what it left behind. */
const lastOutputMs = 250

/**
 * Runs commands in the shell, each in a process group of its own: a signal from the terminal is for us, and one of ours
 * is for all that the command started.
 *
 * States of one: started → exited (its last output is read) → ended; or not started.
 */
export class ShellCommands {
  readonly #clock: Clock
  readonly #running = new Set<number>()
  readonly #killAll = (): void => {
    for (const pid of this.#running) signalGroup(pid, 'SIGTERM')
  }

  constructor(clock: Clock) {
    this.#clock = clock
    // A second signal ends this process at once.
    process.on('exit', this.#killAll)
  }

  close(): void {
    process.off('exit', this.#killAll)
  }

  /** Never rejects. */
  run(command: string, given: CommandGiven): Promise<CommandEnd> {
    return new Promise((resolve) => {
      try {
        const { environment: env } = given
        // Annotated: where processes cannot be started there may be no streams.
        const child: ChildProcess = spawn(command, { shell: true, detached: true, env })
        child.once('error', (error) => resolve({ kind: 'not_started', error }))
        this.#attend(child, given, resolve)
      } catch (error) {
        resolve({ kind: 'not_started', error: toError(error) })
      }
    })
  }

  #attend(
    child: ChildProcess,
    { stdin, signal }: CommandGiven,
    ended: (end: CommandEnd) => void,
  ): void {
    const stderr = new OutputTail(tailBytes)
    // A stream may break when the command ends: what counts is how it ended.
    for (const stream of [child.stdin, child.stdout, child.stderr]) stream?.on('error', ignore)
    child.stdout?.resume()
    child.stderr?.on('data', (chunk: Uint8Array) => stderr.add(chunk))
    child.stdin?.end(stdin)
    const { pid } = child
    if (pid === undefined) return
    this.#running.add(pid)
    const timers: Timer[] = []
    const stop = (): void => {
      signalGroup(pid, 'SIGTERM')
      timers.push(this.#clock.after(killAfterMs, () => signalGroup(pid, 'SIGKILL')))
    }
    if (signal.aborted) stop()
    else signal.addEventListener('abort', stop, { once: true })
    const cancel = (): void => {
      this.#running.delete(pid)
      signal.removeEventListener('abort', stop)
      for (const timer of timers) timer.cancel()
    }
    child.once('exit', (exitCode, by) => {
      cancel()
      const finish = (): void => {
        timer.cancel()
        child.stdin?.destroy()
        child.stdout?.destroy()
        child.stderr?.destroy()
        ended(endOf(exitCode, by, stderr.text()))
      }
      const timer = this.#clock.after(lastOutputMs, finish)
      child.once('close', finish)
    })
  }
}

function endOf(exitCode: number | null, by: NodeJS.Signals | null, stderr: string): CommandEnd {
  if (by !== null) return { kind: 'killed', by, stderr }
  return { kind: 'exited', exitCode: exitCode ?? 0, stderr }
}

function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal)
  } catch (error) {
    // Gone already, or no longer ours: there is nothing to end.
    ignore(toError(error))
  }
}

function ignore(_error: Error): void {}

function toError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown))
}
