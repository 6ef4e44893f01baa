import { deferred } from '../deferred.ts'
import { StorageError, type StorageFile } from '../storage.ts'
import type { MemoryFile } from './memory-file.ts'
import type { StorageFault, StorageOperation, StorageOperations } from './storage-operations.ts'

export interface MemoryHandleDeps {
  readonly path: string
  readonly file: MemoryFile
  readonly operations: StorageOperations
  readonly freeBytes: () => number
}

/** One open file of a memory storage. */
export class MemoryHandle implements StorageFile {
  readonly path: string
  readonly #file: MemoryFile
  readonly #operations: StorageOperations
  readonly #freeBytes: () => number
  #running = 0
  #closing: Promise<void> | undefined
  readonly #idle = deferred()

  constructor({ path, file, operations, freeBytes }: MemoryHandleDeps) {
    this.path = path
    this.#file = file
    this.#operations = operations
    this.#freeBytes = freeBytes
    file.handles += 1
  }

  size(): Promise<number> {
    return this.#call(() => this.#operations.look(() => this.#file.length))
  }

  read(target: Uint8Array, at: number): Promise<number> {
    return this.#run('read', target.length, () => this.#file.read(target, at))
  }

  write(parts: readonly Uint8Array[], at: number): Promise<number> {
    const asked = parts.reduce((sum, part) => sum + part.length, 0)
    return this.#run('write', asked, (fault) => {
      const bytes = joined(parts, this.#fitting(at, asked, fault))
      this.#file.write(bytes, at)
      return bytes.length
    })
  }

  /** It covers the writes before the call. A failed one drops them: seen until the crash, and the next sync is content. */
  sync(): Promise<void> {
    const { lastChange } = this.#file
    return this.#run('sync', 0, (fault) => {
      if (fault === 'ok') return this.#file.sync(lastChange)
      this.#file.loseUnsynced(lastChange)
      throw new StorageError('failed', `sync ${this.path}: input/output error`)
    })
  }

  truncate(bytes: number): Promise<void> {
    return this.#run('truncate', bytes, () => this.#file.truncate(bytes))
  }

  close(): Promise<void> {
    if (this.#operations.crashed) return Promise.resolve()
    this.#closing ??= this.#closeWhenIdle()
    return this.#closing
  }

  async #closeWhenIdle(): Promise<void> {
    if (this.#running > 0) await this.#idle.promise
    await this.#operations.look(() => (this.#file.handles -= 1))
  }

  /** How many bytes the disk takes: overwriting needs no room. */
  #fitting(at: number, asked: number, fault: StorageFault): number {
    const wanted = typeof fault === 'object' ? Math.min(asked, fault.short) : asked
    const growth = at + wanted - this.#file.length
    if (growth <= 0 || growth <= this.#freeBytes()) return wanted
    const fits = this.#file.length + this.#freeBytes() - at
    if (fits <= 0) throw new StorageError('full', `write ${this.path}: no room`)
    return fits
  }

  #run<T>(
    kind: StorageOperation['kind'],
    bytes: number,
    effect: (fault: StorageFault) => T,
  ): Promise<T> {
    return this.#call(() => this.#operations.run({ kind, path: this.path, bytes }, effect))
  }

  async #call<T>(start: () => Promise<T>): Promise<T> {
    if (this.#closing !== undefined)
      throw new StorageError('failed', `${this.path}: the file is closed`)
    this.#running += 1
    try {
      return await start()
    } finally {
      this.#running -= 1
      if (this.#running === 0 && this.#closing !== undefined) this.#idle.resolve()
    }
  }
}

/** The first `bytes` bytes of `parts`, copied as the disk takes them. */
function joined(parts: readonly Uint8Array[], bytes: number): Uint8Array {
  const all = new Uint8Array(bytes)
  let at = 0
  for (const part of parts) {
    all.set(part.subarray(0, bytes - at), at)
    at = Math.min(bytes, at + part.length)
  }
  return all
}
