/** The newest message of a partition that was acknowledged. */
export interface AckedPlace {
  readonly partition: number
  readonly offset: number
  /** Its message id. */
  readonly id: string
}

/** Of every partition, the newest message that was acknowledged: whatever happens to the broker, it must be there. */
export class LastAcked {
  readonly #places = new Map<number, AckedPlace>()

  /** Acknowledgements come in any order. */
  add({ partition, offset, id }: AckedPlace): void {
    const before = this.#places.get(partition)
    if (before === undefined || before.offset < offset)
      this.#places.set(partition, { partition, offset, id })
  }

  addAll(places: Iterable<AckedPlace>): void {
    for (const place of places) this.add(place)
  }

  all(): readonly AckedPlace[] {
    return [...this.#places.values()].toSorted((a, b) => a.partition - b.partition)
  }
}
