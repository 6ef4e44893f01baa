import { assert, present } from '@popmq/kit'
import { type LogPosition, logPosition } from '@popmq/protocol'

interface Chunk {
  readonly base: LogPosition
  readonly bytes: Uint8Array
  used: number
}

/** Room for bytes that are contiguous in memory and in the log. */
export interface Room {
  readonly bytes: Uint8Array
  readonly start: number
}

/**
 * The newest bytes of the log, in memory: where appends are written once, flushed from and read back.
 *
 *      start                     synced         end
 *        | chunk | chunk | chun      k |  chunk   |
 *
 * A run never spans two chunks; chunks are dropped whole, oldest first, once they are synced and more than `keepBytes`
 * are held. Bytes below the end never change, so a slice stays true as long as someone holds it.
 */
export class MemoryTail {
  readonly #chunkBytes: number
  readonly #keepBytes: number
  readonly #chunks: Chunk[] = []
  #end: LogPosition

  constructor({
    end,
    chunkBytes,
    keepBytes,
  }: {
    end: LogPosition
    chunkBytes: number
    keepBytes: number
  }) {
    this.#end = end
    this.#chunkBytes = chunkBytes
    this.#keepBytes = keepBytes
  }

  /** The oldest position in memory; equal to `end` when nothing is. */
  get start(): LogPosition {
    return this.#chunks[0]?.base ?? this.#end
  }

  get end(): LogPosition {
    return this.#end
  }

  /** Room for `bytes` bytes at the end. Nothing is taken until `advance`. */
  reserve(bytes: number): Room {
    const last = this.#chunks.at(-1)
    if (last !== undefined && last.bytes.length - last.used >= bytes)
      return { bytes: last.bytes, start: last.used }
    const chunk = {
      base: this.#end,
      bytes: new Uint8Array(Math.max(bytes, this.#chunkBytes)),
      used: 0,
    }
    this.#chunks.push(chunk)
    return { bytes: chunk.bytes, start: 0 }
  }

  /** Takes the first `bytes` bytes of the room reserved last. */
  advance(bytes: number): void {
    const last = present(this.#chunks.at(-1), 'room was reserved before it is taken')
    assert(last.base + last.used === this.#end, 'the last chunk ends where the log ends')
    last.used += bytes
    assert(last.used <= last.bytes.length, 'no more is taken than was reserved')
    this.#end = logPosition(this.#end + bytes)
  }

  /** The bytes of [from, to), which must be in memory. */
  slices(from: LogPosition, to: LogPosition): Uint8Array[] {
    assert(from >= this.start && to <= this.#end, 'what is read from the tail is in the tail')
    const slices: Uint8Array[] = []
    for (let at = from; at < to;) {
      const chunk = this.#chunkAt(at)
      const slice = chunk.bytes.subarray(at - chunk.base, Math.min(to - chunk.base, chunk.used))
      slices.push(slice)
      at = logPosition(at + slice.length)
    }
    return slices
  }

  /** Drops what is below `synced` and not among the newest `keepBytes`. */
  release(synced: LogPosition): void {
    for (;;) {
      const oldest = this.#chunks[0]
      if (oldest === undefined || oldest.base + oldest.used > synced || oldest.used === 0) return
      if (this.#end - (oldest.base + oldest.used) < this.#keepBytes) return
      this.#chunks.shift()
    }
  }

  /** Searched from the newest: readers of the tail are near its end. */
  #chunkAt(position: LogPosition): Chunk {
    const chunk = this.#chunks.findLast(({ base }) => base <= position)
    return present(chunk, 'a position in the tail lies in a chunk')
  }
}
