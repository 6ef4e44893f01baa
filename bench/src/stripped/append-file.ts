import { closeSync, fdatasync, openSync, readSync, writev } from 'node:fs'

/** Bytes in memory of one stretch of the file. */
interface Chunk {
  readonly start: number
  /** Position behind what is in use of it. */
  end: number
  readonly bytes: Buffer
}

const chunkBytes = 16 * 1_048_576
/** The newest chunks are read from memory, older ones from the file. */
const keptChunks = 16

/**
 * One file that is appended to, with group commit: one write and one fdatasync under way, and what arrives meanwhile
 * shares the next.
 */
export class AppendFile {
  readonly #descriptor: number
  #chunks: Chunk[] = [{ start: 0, end: 0, bytes: Buffer.allocUnsafeSlow(chunkBytes) }]
  #end = 0
  #written = 0
  #syncing = false
  #waiting: (() => void)[] = []

  constructor(path: string) {
    this.#descriptor = openSync(path, 'w+')
  }

  /** Bytes below this are synced. */
  get synced(): number {
    return this.#written
  }

  /** Copies `records` in; they lie in one piece. @returns where, and that piece, to be patched at once */
  append(records: Buffer): { position: number; bytes: Buffer } {
    let chunk = this.#newest()
    if (this.#end - chunk.start + records.length > chunk.bytes.length) {
      chunk = {
        start: this.#end,
        end: this.#end,
        bytes: Buffer.allocUnsafeSlow(Math.max(chunkBytes, records.length)),
      }
      this.#chunks.push(chunk)
    }
    const position = this.#end
    const at = position - chunk.start
    records.copy(chunk.bytes, at)
    this.#end += records.length
    chunk.end = this.#end
    return { position, bytes: chunk.bytes.subarray(at, at + records.length) }
  }

  /** Calls `done` when everything appended so far is on disk. */
  whenSynced(done: () => void): void {
    this.#waiting.push(done)
    if (!this.#syncing) this.#sync()
  }

  /** Synced bytes, which lie in one piece. */
  read(position: number, length: number): Buffer {
    const chunk = this.#chunks.findLast(({ start }) => start <= position)
    if (chunk !== undefined)
      return chunk.bytes.subarray(position - chunk.start, position - chunk.start + length)
    const bytes = Buffer.allocUnsafe(length)
    readSync(this.#descriptor, bytes, 0, length, position)
    return bytes
  }

  close(): void {
    closeSync(this.#descriptor)
  }

  #sync(): void {
    this.#syncing = true
    const done = this.#waiting
    this.#waiting = []
    const end = this.#end
    writev(this.#descriptor, this.#unwritten(end), this.#written, (writeError, bytes) => {
      // A measurement that cannot write is over: short writes are one kind of that.
      if (writeError !== null) throw writeError
      if (bytes !== end - this.#written) throw new Error('the disk took only a part of a write')
      fdatasync(this.#descriptor, (syncError) => {
        if (syncError !== null) throw syncError
        this.#written = end
        this.#dropOldChunks()
        this.#syncing = false
        for (const call of done) call()
        if (this.#waiting.length > 0 && !this.#syncing) this.#sync()
      })
    })
  }

  #unwritten(end: number): Buffer[] {
    return this.#chunks.flatMap((chunk) => {
      const { start, bytes } = chunk
      const from = Math.max(start, this.#written)
      const to = Math.min(end, chunk.end)
      return from < to ? [bytes.subarray(from - start, to - start)] : []
    })
  }

  #dropOldChunks(): void {
    const written = this.#chunks.filter((chunk) => chunk.end <= this.#written)
    if (written.length > keptChunks) this.#chunks = this.#chunks.slice(written.length - keptChunks)
  }

  #newest(): Chunk {
    // There is always one.
    return this.#chunks[this.#chunks.length - 1]!
  }
}
