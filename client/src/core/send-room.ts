interface Waiter {
  readonly bytes: number
  readonly granted: () => void
}

/**
 * The bounded buffer of a producer, counted in bytes of records. Room is given in the order of asking; a message larger
 * than the whole buffer gets it when nothing else is there.
 */
export class SendRoom {
  readonly #capacity: number
  readonly #waiters = new Set<Waiter>()
  #used = 0

  constructor(capacity: number) {
    this.#capacity = capacity
  }

  get used(): number {
    return this.#used
  }

  /** Takes room if there is some and nobody waits for it, or `isFirst`: the caller has just been given what it waited for. */
  tryTake(bytes: number, isFirst = false): boolean {
    if ((this.#waiters.size > 0 && !isFirst) || !this.#fits(bytes)) return false
    this.#used += bytes
    return true
  }

  /** Calls `granted` when room was taken. @returns a function that stops waiting */
  wait(bytes: number, granted: () => void): () => void {
    const waiter = { bytes, granted }
    this.#waiters.add(waiter)
    this.#grant()
    return () => {
      if (this.#waiters.delete(waiter)) this.#grant()
    }
  }

  free(bytes: number): void {
    this.#used -= bytes
    this.#grant()
  }

  #fits(bytes: number): boolean {
    return this.#used === 0 || this.#used + bytes <= this.#capacity
  }

  #grant(): void {
    for (const waiter of this.#waiters) {
      if (!this.#fits(waiter.bytes)) return
      this.#waiters.delete(waiter)
      this.#used += waiter.bytes
      waiter.granted()
    }
  }
}
