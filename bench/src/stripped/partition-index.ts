/** Where the records of one partition lie: offset → position and length. */
export class PartitionIndex {
  #positions = new Float64Array(65_536)
  #lengths = new Uint32Array(65_536)
  #count = 0

  get count(): number {
    return this.#count
  }

  add(position: number, length: number): void {
    if (this.#count === this.#positions.length) this.#grow()
    this.#positions[this.#count] = position
    this.#lengths[this.#count] = length
    this.#count += 1
  }

  /**
   * The longest pieces of the file that hold the records from `offset` on, below `end`, of at most `mostBytes`.
   * @returns the pieces, and the offset behind them
   */
  pieces(
    offset: number,
    { end, mostBytes }: { end: number; mostBytes: number },
  ): { pieces: Piece[]; next: number } {
    const pieces: Piece[] = []
    let bytes = 0
    let next = offset
    for (; next < this.#count && bytes < mostBytes; next += 1) {
      const position = this.#positions[next] ?? 0
      const length = this.#lengths[next] ?? 0
      if (position + length > end) break
      const last = pieces.at(-1)
      if (last !== undefined && last.position + last.length === position) last.length += length
      else pieces.push({ position, length })
      bytes += length
    }
    return { pieces, next }
  }

  #grow(): void {
    const positions = new Float64Array(this.#positions.length * 2)
    positions.set(this.#positions)
    this.#positions = positions
    const lengths = new Uint32Array(this.#lengths.length * 2)
    lengths.set(this.#lengths)
    this.#lengths = lengths
  }
}

export interface Piece {
  readonly position: number
  length: number
}
