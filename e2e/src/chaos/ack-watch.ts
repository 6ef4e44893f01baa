/** Tells when the next send to some partitions is acknowledged. */
export class AckWatch {
  readonly #waiting = new Set<{
    readonly partitions: ReadonlySet<number>
    readonly resolve: (atMs: number) => void
  }>()

  /** To be called for every acknowledged send. */
  acked(partition: number): void {
    for (const waiter of this.#waiting) {
      if (!waiter.partitions.has(partition)) continue
      this.#waiting.delete(waiter)
      waiter.resolve(performance.now())
    }
  }

  /** @returns when, on the clock of `performance.now`, the first of these partitions acknowledged a send from now on */
  next(partitions: ReadonlySet<number>): Promise<number> {
    return new Promise((resolve) => this.#waiting.add({ partitions, resolve }))
  }
}
