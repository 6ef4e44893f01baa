/**
 * Files on a real disk. Paths stay inside the root: each part is checked, and a symbolic link on the way is refused.
 * File descriptors with callbacks, one promise per call: as fast as FileHandle, and closing is under our control.
 */
import { close, constants, fsync, open, type Stats } from 'node:fs'
import { lstat, mkdir, readdir, rename, statfs, unlink } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { type Storage, StorageError, type StorageFile } from '../storage.ts'
import { fineWhenMissing, storageError } from './disk-error.ts'
import { openFile } from './open-file.ts'
import { checkPath, folderOf } from './storage-path.ts'

/** Only the user that runs PopMQ reads what it stores. */
const folderMode = 0o700
const fileMode = 0o600

/**
 * The files under `root`, an existing folder. Nothing is opened or created before the first call.
 * Errors are `StorageError`: `full` when the disk or the quota has no room, else `failed`, naming the path.
 */
export function fileStorage(root: string): Storage {
  return new FileStorage(resolve(root))
}

class FileStorage implements Storage {
  readonly #root: string
  /** Folders whose own names are durable, up to the root. Those made before a kill may not be, so each run asks anew. */
  readonly #anchored = new Set<string>([''])

  constructor(root: string) {
    this.#root = root
  }

  async open(path: string): Promise<StorageFile | undefined> {
    await this.#refuseLinks(folderOf(path))
    return this.#openFile(path, constants.O_RDWR)
  }

  async create(path: string): Promise<StorageFile> {
    await this.#makeFolders(folderOf(path))
    const file = await this.#openFile(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL)
    if (file === undefined) throw new StorageError('failed', `create ${path}: its folder is gone`)
    return file
  }

  async list(
    folder: string,
  ): Promise<readonly { readonly name: string; readonly bytes: number }[]> {
    if (!(await this.#refuseLinks(folder))) return []
    const entries = await this.#call('list', folder, (absolute) => readdir(absolute))
    const files: { name: string; bytes: number }[] = []
    for (const name of entries.toSorted()) {
      const path = folder === '' ? name : `${folder}/${name}`
      const stats = await this.#lookAt(path)
      if (stats?.isFile() === true) files.push({ name, bytes: stats.size })
    }
    return files
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#refuseLinks(folderOf(from))
    await this.#makeFolders(folderOf(to))
    await this.#lookAt(from)
    await this.#lookAt(to)
    await this.#call('rename', from, (absolute) => rename(absolute, this.#absolute(to)))
  }

  async remove(path: string): Promise<void> {
    await this.#refuseLinks(folderOf(path))
    await this.#call('remove', path, (absolute) => unlink(absolute).catch(fineWhenMissing))
  }

  async syncFolder(folder: string): Promise<void> {
    if (!(await this.#refuseLinks(folder))) return
    await this.#syncOne(folder)
    for (let name = folder; !this.#anchored.has(name); name = folderOf(name)) {
      await this.#syncOne(folderOf(name))
      this.#anchored.add(name)
    }
  }

  async space(): Promise<{ readonly freeBytes: number; readonly totalBytes: number }> {
    const disk = await this.#call('space', '', (absolute) => statfs(absolute))
    return { freeBytes: disk.bavail * disk.bsize, totalBytes: disk.blocks * disk.bsize }
  }

  #absolute(path: string): string {
    return join(this.#root, checkPath(path))
  }

  #openFile(path: string, flags: number): Promise<StorageFile | undefined> {
    const absolute = this.#absolute(path)
    return openFile({ path, absolute, flags: flags | constants.O_NOFOLLOW, mode: fileMode })
  }

  async #makeFolders(folder: string): Promise<void> {
    if (await this.#refuseLinks(folder)) return
    await this.#call('create', folder, (absolute) =>
      mkdir(absolute, { recursive: true, mode: folderMode }),
    )
  }

  /** Looks at every folder from the root down to this one. @returns whether it exists */
  async #refuseLinks(folder: string): Promise<boolean> {
    let path = ''
    for (const part of checkPath(folder) === '' ? [] : folder.split('/')) {
      path = path === '' ? part : `${path}/${part}`
      const stats = await this.#lookAt(path)
      if (stats === undefined) return false
      if (!stats.isDirectory()) throw new StorageError('failed', `${path} is not a folder`)
    }
    return true
  }

  async #lookAt(path: string): Promise<Stats | undefined> {
    const stats = await this.#call('look at', path, (absolute) =>
      lstat(absolute).catch(fineWhenMissing),
    )
    if (stats?.isSymbolicLink() === true) {
      throw new StorageError(
        'failed',
        `${path} is a symbolic link; a data directory may not hold any`,
      )
    }
    return stats
  }

  async #call<T>(what: string, path: string, call: (absolute: string) => Promise<T>): Promise<T> {
    const absolute = this.#absolute(path)
    try {
      return await call(absolute)
    } catch (error) {
      throw storageError(what, absolute, error)
    }
  }

  #syncOne(folder: string): Promise<void> {
    return syncPath(this.#absolute(folder))
  }
}

/** Makes the names in a folder durable, given by its path on the machine. */
export function syncPath(absolute: string): Promise<void> {
  return new Promise((done, fail) => {
    open(absolute, constants.O_RDONLY | constants.O_DIRECTORY, (openError, fd) => {
      if (openError !== null) return fail(storageError('open folder', absolute, openError))
      fsync(fd, (syncError) => {
        close(fd, (closeError) => {
          const error = syncError ?? closeError
          // Even a full disk is a failure here: names are lost that were thought to be there.
          if (error)
            fail(new StorageError('failed', `sync folder ${absolute}: ${error.message}`, error))
          else done()
        })
      })
    })
  })
}
