import { stripVTControlCharacters } from 'node:util'

/** The last bytes of an output that may be endless. */
export class OutputTail {
  readonly #mostBytes: number
  #chunks: Uint8Array[] = []
  #bytes = 0
  #isCut = false

  constructor(mostBytes: number) {
    this.#mostBytes = mostBytes
  }

  add(chunk: Uint8Array): void {
    this.#chunks.push(chunk)
    this.#bytes += chunk.length
    // Cut now and then, not with each chunk.
    if (this.#bytes > 2 * this.#mostBytes || this.#chunks.length > 1_000) this.#cut()
  }

  /** Without colours, blank ends and, when it was cut, the rest of the first line. */
  text(): string {
    this.#cut()
    const text = stripVTControlCharacters(Buffer.concat(this.#chunks).toString('utf8'))
    const lineEnd = this.#isCut ? text.indexOf('\n') : -1
    return text.slice(lineEnd + 1).trim()
  }

  #cut(): void {
    const joined = Buffer.concat(this.#chunks)
    const kept = joined.subarray(Math.max(0, joined.length - this.#mostBytes))
    this.#isCut ||= kept.length < joined.length
    // A copy: the chunks are let go.
    this.#chunks = [Uint8Array.from(kept)]
    this.#bytes = kept.length
  }
}
