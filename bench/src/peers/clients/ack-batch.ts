/** Gathers what is delivered one by one, until there are as many as a pop takes, or no more came for a while. */
export class AckBatch<T> {
  readonly #size: number
  readonly #settle: (batch: readonly T[]) => void
  readonly #idle: NodeJS.Timeout
  #gathered: T[] = []
  #countBefore = 0

  constructor(size: number, settle: (batch: readonly T[]) => void) {
    this.#size = size
    this.#settle = settle
    this.#idle = setInterval(() => this.#look(), idleMs)
  }

  add(delivered: T): void {
    this.#gathered.push(delivered)
    if (this.#gathered.length >= this.#size) this.flush()
  }

  flush(): void {
    const batch = this.#gathered
    this.#gathered = []
    this.#countBefore = 0
    if (batch.length > 0) this.#settle(batch)
  }

  close(): void {
    clearInterval(this.#idle)
    this.flush()
  }

  /** A batch that has not grown since the last look is the last one. */
  #look(): void {
    if (this.#gathered.length === this.#countBefore) this.flush()
    this.#countBefore = this.#gathered.length
  }
}

const idleMs = 10
