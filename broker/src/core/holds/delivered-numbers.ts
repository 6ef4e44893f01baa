/**
 * The newest held numbers whose messages became visible, so that who asks for one is told so. Older ones are forgotten.
 * 8 bytes each.
 */
export class DeliveredNumbers {
  readonly #most: number
  #ring = new Float64Array(0)
  #count = 0
  #next = 0

  /** Remembers up to `most`. */
  constructor(most: number) {
    this.#most = most
  }

  get bytes(): number {
    return this.#ring.byteLength
  }

  get size(): number {
    return this.#count
  }

  add(number: number): void {
    if (this.#ring.length === 0) this.#ring = new Float64Array(this.#most)
    this.#ring[this.#next] = number
    this.#next = (this.#next + 1) % this.#most
    this.#count = Math.min(this.#count + 1, this.#most)
  }

  /** Looks through all of them: some tens of microseconds, for a question that people ask. */
  has(number: number): boolean {
    return this.#ring.subarray(0, this.#count).includes(number)
  }

  /** Oldest first. */
  *all(): Generator<number> {
    const first = this.#count < this.#most ? 0 : this.#next
    for (let index = 0; index < this.#count; index += 1)
      yield this.#ring[(first + index) % this.#most] ?? 0
  }
}
