import type { Settled } from './api/pop-consumer.ts'
import type { WorkContext } from './api/worker.ts'

/** What one handler is told. The signal is made when it is asked for: most handlers do not look. */
export class HandlerContext implements WorkContext {
  readonly attempt: number
  readonly #extend: (invisibleMs: number | undefined) => Promise<Settled>
  #controller: AbortController | undefined
  #reason: Error | undefined

  constructor(attempt: number, extend: (invisibleMs: number | undefined) => Promise<Settled>) {
    this.attempt = attempt
    this.#extend = extend
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController()
      if (this.#reason !== undefined) this.#controller.abort(this.#reason)
    }
    return this.#controller.signal
  }

  // Bound: handlers take it out of the context.
  readonly extend = (invisibleMs?: number): Promise<Settled> => this.#extend(invisibleMs)

  /** The handler should stop. */
  abort(reason: Error): void {
    this.#reason ??= reason
    this.#controller?.abort(reason)
  }
}
