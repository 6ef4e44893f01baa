const span = 0x1_0000_0000

/** Ids of requests, u32: they count up and wrap. 0 stands for "no request", so it is never given. */
export class CorrelationIds {
  #next: number

  constructor(first = 1) {
    this.#next = first
  }

  /** An id for which `isInUse` does not hold; fewer than 2^32 − 1 are in use. */
  take(isInUse: (id: number) => boolean): number {
    for (;;) {
      const id = this.#next
      this.#next = (id + 1) % span
      if (id !== 0 && !isInUse(id)) return id
    }
  }
}
