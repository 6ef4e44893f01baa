import type { Ended, Program } from './program.ts'
import { startPopmq } from './popmq.ts'
import { until, within } from './waiting.ts'

export interface RoleSettings {
  /** For messages: 'broker 1'. */
  readonly name: string
  /** host:port of `/readyz`. */
  readonly address: string
  /** The words behind `popmq`. */
  readonly args: readonly string[]
}

export interface RoleStart {
  /** Flags of this start only. */
  readonly flags?: readonly string[]
  /** As `PopmqOptions.under`. */
  readonly under?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
}

/** A broker, a coordinator or `popmq dev` as a process: started, killed and started again at one address. */
export class RoleProcess {
  readonly #settings: RoleSettings
  #program: Program | undefined
  #pastOutput = ''

  constructor(settings: RoleSettings) {
    this.#settings = settings
  }

  get address(): string {
    return this.#settings.address
  }

  /** The log lines of this start. */
  get log(): string {
    return this.#running.stderr
  }

  /** What all of its starts wrote, for the message of a test that fails. */
  get output(): string {
    const { stdout = '', stderr = '' } = this.#program ?? {}
    return `── ${this.#settings.name}\n${this.#pastOutput}${stdout}${stderr}`
  }

  /** The end of this start. */
  get ended(): Promise<Ended> {
    return this.#running.ended
  }

  get isRunning(): boolean {
    return this.#program?.hasEnded === false
  }

  /** Starts it and waits until it serves. @throws Error with its stderr when it ends instead */
  async start(how: RoleStart = {}): Promise<void> {
    this.launch(how)
    await this.ready()
  }

  /** Starts it without waiting. */
  launch({ flags = [], ...how }: RoleStart = {}): void {
    const { stdout = '', stderr = '' } = this.#program ?? {}
    this.#pastOutput += `${stdout}${stderr}── started again\n`
    this.#program = startPopmq([...this.#settings.args, ...flags], how)
  }

  /** Waits until `/readyz` says so. */
  async ready(): Promise<void> {
    const { name } = this.#settings
    const program = this.#running
    await until(
      async () => {
        if (program.hasEnded) {
          const { code, signal, stderr } = await program.ended
          throw new Error(`${name} ended (${code ?? signal}) before it served:\n${stderr}`)
        }
        return (await this.readiness()) === 200
      },
      { what: `${name} to serve` },
    )
  }

  /** The status of `/readyz`; undefined when nobody answers. */
  async readiness(): Promise<number | undefined> {
    const answer = await this.#get('/readyz')
    return answer?.status
  }

  /** The value of a metric without labels. @throws Error when there is none */
  async metric(name: string): Promise<number> {
    const text = (await this.#get('/metrics'))?.text ?? ''
    const value = new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1]
    if (value === undefined) throw new Error(`${this.#settings.name} has no metric ${name}`)
    return Number(value)
  }

  signal(signal: NodeJS.Signals): void {
    this.#running.signal(signal)
  }

  /** Sends a signal and waits for the end. */
  stop(signal: NodeJS.Signals, withinMs = 30_000): Promise<Ended> {
    return this.#running.stop(signal, withinMs)
  }

  /** Waits for it to end by itself. */
  end(withinMs = 30_000): Promise<Ended> {
    return within(this.#running.ended, { what: `${this.#settings.name} to end`, withinMs })
  }

  async close(): Promise<void> {
    await this.#program?.close()
  }

  async #get(
    path: string,
  ): Promise<{ readonly status: number; readonly text: string } | undefined> {
    try {
      const signal = AbortSignal.timeout(2_000)
      const response = await fetch(`http://${this.address}${path}`, { signal })
      return { status: response.status, text: await response.text() }
    } catch (error) {
      // Nobody listens, or it was killed while it answered.
      if (error instanceof TypeError || (error instanceof Error && error.name === 'TimeoutError'))
        return undefined
      throw error
    }
  }

  get #running(): Program {
    if (this.#program === undefined) throw new Error(`${this.#settings.name} was not started`)
    return this.#program
  }
}
