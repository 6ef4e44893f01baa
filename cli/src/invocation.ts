import { type Clock, lineLog, type Log, type LogLevel } from '@popmq/kit'
import { MqError } from '@popmq/protocol'
import type { Client } from '@popmq/client'
import { Output } from './output.ts'
import type { Settings } from './settings.ts'
import type { Surroundings } from './surroundings.ts'

/** One run of one command: what it was told, and what it may use. */
export class Invocation {
  readonly settings: Settings
  readonly output: Output
  readonly surroundings: Surroundings
  readonly clock: Clock
  /** Aborted when the command is to drain and end. */
  readonly signal: AbortSignal
  #client: Client | undefined
  #exitCode: 0 | 1 = 0

  constructor(settings: Settings, surroundings: Surroundings) {
    this.settings = settings
    this.surroundings = surroundings
    this.output = new Output(surroundings.stdout, settings)
    this.clock = surroundings.clock
    this.signal = surroundings.stop.signal
  }

  get exitCode(): 0 | 1 {
    return this.#exitCode
  }

  /** The command ends with 1, though nothing was thrown. */
  fail(): void {
    this.#exitCode = 1
  }

  /** A client of the cluster, closed when the command ends. */
  async connect(): Promise<Client> {
    const { surroundings, settings, signal } = this
    this.#client ??= await surroundings.connect(settings.server, { client: 'popmq-cli', signal })
    return this.#client
  }

  /** A log on stderr. */
  log(defaultLevel: LogLevel): Log {
    const { stderr, clock } = this.surroundings
    return lineLog(
      (line) => void stderr.write(`${line}\n`),
      () => clock.now(),
      this.settings.logLevel ?? defaultLevel,
    )
  }

  /** Asks before something is destroyed, on a terminal only. @throws MqError `aborted` */
  async confirm(question: string, { yes }: { yes?: boolean }): Promise<void> {
    if (yes === true) return
    if ((await this.surroundings.ask(question)) === false)
      throw new MqError('aborted', 'nothing was changed')
  }

  async close(): Promise<void> {
    await this.#client?.close()
  }
}
