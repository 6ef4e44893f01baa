import { assert, present } from '../assert.ts'
import type { Random } from '../random.ts'
import { checkPath } from '../storage/storage-path.ts'
import { type Storage, StorageError, type StorageFile } from '../storage.ts'
import { type CrashMode, MemoryFile } from './memory-file.ts'
import { MemoryHandle } from './memory-handle.ts'
import { MemoryNames } from './memory-names.ts'
import { SeededRandom } from './seeded-random.ts'
import {
  type StorageEffectKind,
  type StorageFault,
  type StorageOperation,
  StorageOperations,
  type StorageOperationsOptions,
} from './storage-operations.ts'

export interface MemoryStorageOptions extends StorageOperationsOptions {
  /** Room for the bytes of all files. @defaultValue 1 TiB */
  readonly capacityBytes?: number
}

export interface Crash {
  readonly mode: CrashMode
  /** What `random` and `torn` draw from. @defaultValue seed 1 */
  readonly random?: Random
}

/**
 * The disk of simulation and of unit tests: files in memory that are lost, torn, rotten or full on demand.
 *
 * It keeps what a real disk promises and no more: bytes are durable after `sync` of their file, names after
 * `syncFolder` of their folder, and a sync covers what was done before it was asked for. A folder lasts once made.
 */
export class MemoryStorage implements Storage {
  readonly #options: MemoryStorageOptions
  readonly #names: MemoryNames
  readonly #operations: StorageOperations
  /** Files that lost their name; those still open take room. */
  readonly #nameless = new Set<MemoryFile>()
  #capacityBytes: number

  constructor(options: MemoryStorageOptions = {}, names = new MemoryNames()) {
    this.#options = options
    this.#names = names
    this.#operations = new StorageOperations(options)
    this.#capacityBytes = options.capacityBytes ?? 2 ** 40
  }

  open(path: string): Promise<StorageFile | undefined> {
    checkPath(path)
    return this.#operations.look(() => {
      const file = this.#names.get(path)
      return file && this.#handle(path, file)
    })
  }

  create(path: string): Promise<StorageFile> {
    return this.#run('create', path, () => {
      if (this.#names.get(path) !== undefined)
        throw new StorageError('failed', `create ${path}: it exists`)
      return this.#handle(path, this.#names.create(path))
    })
  }

  list(folder: string): Promise<readonly { readonly name: string; readonly bytes: number }[]> {
    checkPath(folder)
    return this.#operations.look(() => this.#names.list(folder))
  }

  rename(from: string, to: string): Promise<void> {
    checkPath(to)
    return this.#run('rename', from, () => {
      const file = this.#names.get(from)
      if (file === undefined)
        throw new StorageError('failed', `rename ${from}: there is no such file`)
      if (from !== to) this.#forget(to)
      this.#names.rename(from, to, file)
    })
  }

  remove(path: string): Promise<void> {
    return this.#run('remove', path, () => {
      this.#forget(path)
      this.#names.remove(path)
    })
  }

  syncFolder(folder: string): Promise<void> {
    const { lastChange } = this.#names
    return this.#run('syncFolder', folder, () => this.#names.syncFolder(folder, lastChange))
  }

  space(): Promise<{ readonly freeBytes: number; readonly totalBytes: number }> {
    return this.#operations.look(() => ({
      freeBytes: this.#freeBytes(),
      totalBytes: this.#capacityBytes,
    }))
  }

  /** What has been done so far, reading apart; failed attempts count. */
  get effects(): readonly StorageOperation[] {
    return this.#operations.effects
  }

  /** Resolves when `stopAfter` has held back an effect. */
  get stopped(): Promise<void> {
    return this.#operations.stopped
  }

  /** Lets the first `effects` effects take place; the next one never completes, nor does anything after it. */
  stopAfter(effects: number): void {
    this.#operations.stopAfter(effects)
  }

  /** The next operation of this kind ends like this; more than one can be planned. Goes before the `fault` policy. */
  failNext(kind: StorageOperation['kind'], fault: StorageFault = 'failed'): void {
    this.#operations.failNext(kind, fault)
  }

  /** Makes the disk larger or smaller; what is stored stays. */
  setCapacity(bytes: number): void {
    this.#capacityBytes = bytes
  }

  /** Rot: the bit, 0..7, of the byte at `at` is another one from now on, on disk and in the cache. */
  flipBit(path: string, at: number, bit = 0): void {
    assert(bit >= 0 && bit < 8, 'a byte has bits 0 to 7')
    present(this.#names.get(path), `${path} is there to rot`).flipBit(at, bit)
  }

  /** A copy of what readers see, at once. @returns undefined when there is no such file */
  peek(path: string): Uint8Array | undefined {
    return this.#names.get(path)?.bytes()
  }

  /** Puts a durable file there at once, in place of the one of that name. */
  plant(path: string, bytes: Uint8Array): void {
    const file = new MemoryFile()
    file.write(bytes.slice(), 0)
    file.sync(file.lastChange)
    this.#names.plant(checkPath(path), file)
  }

  /**
   * Ends this storage: what is under way never completes, and what is asked from now on fails, except closing.
   * Several outcomes may be asked for; each is a storage of its own.
   * @returns what the next process finds, with the same options
   */
  crash({ mode, random = new SeededRandom(1) }: Crash): MemoryStorage {
    this.#operations.crash()
    const options = { ...this.#options, capacityBytes: this.#capacityBytes }
    return new MemoryStorage(options, this.#names.crashed(mode, random))
  }

  #handle(path: string, file: MemoryFile): StorageFile {
    const freeBytes = (): number => this.#freeBytes()
    return new MemoryHandle({ path, file, operations: this.#operations, freeBytes })
  }

  #forget(path: string): void {
    const file = this.#names.get(path)
    if (file !== undefined && file.handles > 0) this.#nameless.add(file)
  }

  #freeBytes(): number {
    let used = 0
    for (const file of this.#names.files()) used += file.length
    for (const file of this.#nameless) {
      if (file.handles > 0) used += file.length
      else this.#nameless.delete(file)
    }
    return Math.max(0, this.#capacityBytes - used)
  }

  #run<T>(kind: StorageEffectKind, path: string, effect: () => T): Promise<T> {
    checkPath(path)
    return this.#operations.run({ kind, path, bytes: 0 }, effect)
  }
}
