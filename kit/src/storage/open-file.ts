import { close, fdatasync, fstat, ftruncate, open, read, type Stats, write, writev } from 'node:fs'
import { deferred } from '../deferred.ts'
import { StorageError, type StorageFile } from '../storage.ts'
import { errorCode, storageError } from './disk-error.ts'

export interface OpenFileRequest {
  /** As the core names it. */
  readonly path: string
  readonly absolute: string
  readonly flags: number
  readonly mode: number
}

/** @returns undefined when there is no such file */
export async function openFile(request: OpenFileRequest): Promise<StorageFile | undefined> {
  const fd = await openDescriptor(request)
  if (fd === undefined) return undefined
  const file = new OpenFile(request, fd)
  if (await file.isPlain()) return file
  await file.close()
  throw new StorageError('failed', `open ${request.absolute}: not a plain file`)
}

type Done<T> = (error: NodeJS.ErrnoException | null, result: T) => void

/**
 * One open file.
 *
 * A descriptor closed under a running call may by then belong to another file, so `close` waits for every call.
 * A failed sync stays failed: the kernel forgets it at the second call and answers ok although the bytes are gone.
 */
class OpenFile implements StorageFile {
  readonly path: string
  readonly #absolute: string
  readonly #fd: number
  #running = 0
  #closing: Promise<void> | undefined
  readonly #idle = deferred()
  #syncFailure: StorageError | undefined

  constructor({ path, absolute }: OpenFileRequest, fd: number) {
    this.path = path
    this.#absolute = absolute
    this.#fd = fd
  }

  async isPlain(): Promise<boolean> {
    const stats = await this.#call<Stats>('look at', (done) => fstat(this.#fd, done))
    return stats.isFile()
  }

  async size(): Promise<number> {
    const stats = await this.#call<Stats>('look at', (done) => fstat(this.#fd, done))
    return stats.size
  }

  async read(target: Uint8Array, at: number): Promise<number> {
    let filled = 0
    while (filled < target.length) {
      const start = filled
      const got = await this.#call<number>('read', (done) =>
        read(this.#fd, target, start, target.length - start, at + start, done),
      )
      if (got === 0) break
      filled += got
    }
    return filled
  }

  /** One call, however many parts: libuv itself goes on after 1024 of them and after a short write. */
  async write(parts: readonly Uint8Array[], at: number): Promise<number> {
    const [first] = parts
    if (first === undefined) return 0
    if (parts.length === 1) {
      return this.#call<number>('write', (done) =>
        write(this.#fd, first, 0, first.length, at, done),
      )
    }
    return this.#call<number>('write', (done) => writev(this.#fd, parts, at, done))
  }

  async sync(): Promise<void> {
    if (this.#syncFailure !== undefined) throw this.#syncFailure
    try {
      await this.#call<void>('sync', (done) =>
        fdatasync(this.#fd, (error) => done(error, undefined)),
      )
    } catch (error) {
      // Even when the disk was full: bytes are lost that an earlier write had taken.
      this.#syncFailure ??= new StorageError('failed', `sync ${this.#absolute} failed`, error)
      throw this.#syncFailure
    }
  }

  async truncate(bytes: number): Promise<void> {
    await this.#call<void>('truncate', (done) =>
      ftruncate(this.#fd, bytes, (error) => done(error, undefined)),
    )
  }

  close(): Promise<void> {
    this.#closing ??= this.#closeWhenIdle()
    return this.#closing
  }

  async #closeWhenIdle(): Promise<void> {
    if (this.#running > 0) await this.#idle.promise
    await new Promise<void>((done, fail) => {
      close(this.#fd, (error) =>
        error ? fail(storageError('close', this.#absolute, error)) : done(),
      )
    })
  }

  #call<T>(what: string, start: (done: Done<T>) => void): Promise<T> {
    if (this.#closing !== undefined) {
      return Promise.reject(
        new StorageError('failed', `${what} ${this.#absolute}: the file is closed`),
      )
    }
    this.#running += 1
    return new Promise((done, fail) => {
      start((error, result) => {
        this.#running -= 1
        if (this.#running === 0 && this.#closing !== undefined) this.#idle.resolve()
        if (error !== null) fail(storageError(what, this.#absolute, error))
        else done(result)
      })
    })
  }
}

function openDescriptor({ absolute, flags, mode }: OpenFileRequest): Promise<number | undefined> {
  return new Promise((done, fail) => {
    open(absolute, flags, mode, (error, fd) => {
      if (error === null) return done(fd)
      if (errorCode(error) === 'ENOENT') return done(undefined)
      fail(storageError('open', absolute, error))
    })
  })
}
