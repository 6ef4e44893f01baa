/** Why a command is asked to end early. */
export type StopReason = 'signal' | 'output'

/**
 * Ends a command early: the first SIGINT or SIGTERM, or a reader of stdout that went away, aborts the signal and the
 * command drains; a second signal ends the process at once.
 */
export class Stop {
  readonly #controller = new AbortController()
  readonly #exit: (code: number) => void
  #reason: StopReason | undefined

  constructor(exit: (code: number) => void) {
    this.#exit = exit
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /** @returns undefined while the command runs on */
  get reason(): StopReason | undefined {
    return this.#reason
  }

  bySignal(): void {
    if (this.#reason === 'signal') this.#exit(1)
    this.#ask('signal')
  }

  byOutput(): void {
    if (this.#reason === undefined) this.#ask('output')
  }

  #ask(reason: StopReason): void {
    this.#reason = reason
    this.#controller.abort()
  }
}
