import { assert, present } from '@popmq/kit'
import { type LogPosition, logPosition } from '@popmq/protocol'
import type { Segment, Segments } from './segments.ts'

interface Block {
  /** Undefined while it is being read. */
  bytes: Uint8Array | undefined
  readonly loaded: Promise<Uint8Array>
}

/**
 * Reads older bytes of the log in aligned blocks. A block is read once however many ask for it (single-flight) and kept
 * while it is among the newest used; groups that read at close offsets share the disk's work. At most `readsInFlight`
 * reads run at a time, so that catching up never takes the disk from the tail.
 */
export class BlockCache {
  readonly #segments: Segments
  readonly #blockBytes: number
  readonly #mostBlocks: number
  /** By position of the block's first byte; a Map keeps the order of use. */
  readonly #blocks = new Map<number, Block>()
  readonly #waiting: (() => void)[] = []
  #free: number
  #diskBytes = 0

  constructor(
    segments: Segments,
    options: { blockBytes: number; cacheBytes: number; readsInFlight: number },
  ) {
    this.#segments = segments
    this.#blockBytes = options.blockBytes
    this.#mostBlocks = Math.max(1, Math.floor(options.cacheBytes / options.blockBytes))
    this.#free = options.readsInFlight
  }

  /** Bytes read from disk so far. */
  get diskBytes(): number {
    return this.#diskBytes
  }

  /** The bytes of [from, to), below the synced position, as views of cached blocks. */
  async read(from: LogPosition, to: LogPosition): Promise<Uint8Array[]> {
    const slices: Uint8Array[] = []
    for (let at = from; at < to;) {
      const segment = this.#segments.at(at)
      const base = at - ((at - segment.base) % this.#blockBytes)
      const bytes = await this.#block(segment, base, to)
      const slice = bytes.subarray(at - base, to - base)
      assert(slice.length > 0, 'bytes below the synced position can be read')
      slices.push(slice)
      at = logPosition(at + slice.length)
    }
    return slices
  }

  /** Forgets what lies below `position`: its file is gone. */
  dropBelow(position: LogPosition): void {
    for (const base of this.#blocks.keys()) if (base < position) this.#blocks.delete(base)
  }

  /** A block at the log's end may have been read while it was shorter: it is read again when more is wanted. */
  async #block(segment: Segment, base: number, to: LogPosition): Promise<Uint8Array> {
    const wanted =
      Math.min(to, segment.base + (base - segment.base) + this.#blockBytes, segment.end) - base
    const known = this.#blocks.get(base)
    if (known !== undefined) {
      const bytes = known.bytes ?? (await known.loaded)
      if (bytes.length >= wanted) {
        this.#touch(base, known)
        return bytes
      }
    }
    const block: Block = { bytes: undefined, loaded: this.#load(segment, base) }
    this.#touch(base, block)
    try {
      block.bytes = await block.loaded
      return block.bytes
    } catch (error) {
      this.#blocks.delete(base)
      throw error
    }
  }

  #touch(base: number, block: Block): void {
    this.#blocks.delete(base)
    this.#blocks.set(base, block)
    if (this.#blocks.size > this.#mostBlocks) {
      const [oldest] = this.#blocks.keys()
      this.#blocks.delete(present(oldest, 'a full cache has an oldest block'))
    }
  }

  async #load(segment: Segment, base: number): Promise<Uint8Array> {
    while (this.#free === 0) await new Promise<void>((resolve) => this.#waiting.push(resolve))
    this.#free -= 1
    try {
      const bytes = new Uint8Array(Math.min(this.#blockBytes, segment.end - base))
      const read = await segment.file.read(bytes, base - segment.base)
      this.#diskBytes += read
      return bytes.subarray(0, read)
    } finally {
      this.#free += 1
      this.#waiting.shift()?.()
    }
  }
}
