/**
 * Cuts what a ZooKeeper server sends into frames: a length of 4 bytes, big-endian, and as many bytes. Each frame goes
 * to the library alone and whole. It can cut them itself, but copies all that follows for each one, and keeps half a
 * frame of one connection for the next.
 */
export class FrameReader {
  readonly #mostBytes: number
  #chunks: Buffer[] = []
  #bytes = 0
  #neededBytes = lengthBytes

  constructor(mostBytes: number) {
    this.#mostBytes = mostBytes
  }

  /** @returns the frames that are whole now, each with its length in front. @throws Error at a length out of range */
  push(chunk: Buffer): Buffer[] {
    this.#chunks.push(chunk)
    this.#bytes += chunk.length
    if (this.#bytes < this.#neededBytes) return []
    const bytes = this.#chunks.length === 1 ? chunk : Buffer.concat(this.#chunks, this.#bytes)
    const frames: Buffer[] = []
    let at = 0
    for (;;) {
      this.#neededBytes = this.#frameBytes(bytes, at)
      if (bytes.length - at < this.#neededBytes) break
      frames.push(bytes.subarray(at, at + this.#neededBytes))
      at += this.#neededBytes
    }
    this.#chunks = at === bytes.length ? [] : [bytes.subarray(at)]
    this.#bytes = bytes.length - at
    return frames
  }

  #frameBytes(bytes: Buffer, at: number): number {
    if (bytes.length - at < lengthBytes) return lengthBytes
    const length = bytes.readInt32BE(at)
    // A frame of nothing has no header either.
    if (length <= 0 || length > this.#mostBytes) throw new Error(`a frame of ${length} bytes`)
    return lengthBytes + length
  }
}

const lengthBytes = 4
