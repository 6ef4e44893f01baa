import type { LogPosition } from '@popmq/protocol'
import type { BlockCache } from './block-cache.ts'
import type { MemoryTail } from './memory-tail.ts'

/**
 * Reads visible bytes: the newest from the memory tail at once, older ones through the block cache. A reader holds a
 * pin from the moment it looks up a position until it has the bytes; a segment goes only when every pin taken before
 * has been let go, so a position that was looked up can always be read.
 */
export class LogReader {
  readonly #tail: Pick<MemoryTail, 'start' | 'slices'>
  readonly #cache: BlockCache
  readonly #pins = new Set<Promise<void>>()

  constructor(tail: Pick<MemoryTail, 'start' | 'slices'>, cache: BlockCache) {
    this.#tail = tail
    this.#cache = cache
  }

  /** The bytes of [from, to), a range of whole records: views that stay true. */
  read(from: LogPosition, to: LogPosition): Uint8Array[] | Promise<Uint8Array[]> {
    return from >= this.#tail.start ? this.#tail.slices(from, to) : this.#cache.read(from, to)
  }

  /** Runs `reading` under a pin. */
  async pinned<T>(reading: () => Promise<T>): Promise<T> {
    const result = reading()
    const pin = result.then(
      () => undefined,
      () => undefined,
    )
    this.#pins.add(pin)
    try {
      return await result
    } finally {
      this.#pins.delete(pin)
    }
  }

  /** Resolves when every pin that is held now has been let go. */
  async unpinned(): Promise<void> {
    await Promise.all([...this.#pins])
  }
}
