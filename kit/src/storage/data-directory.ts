import { mkdir, readdir } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import type { Closable } from '../lifecycle.ts'
import { readWhole, replaceFile, type Storage } from '../storage.ts'
import { errorCode, storageError } from './disk-error.ts'
import { fileStorage, syncPath } from './file-storage.ts'
import { type FolderLock, type FolderLockOptions, isLockFile, lockFolder } from './folder-lock.ts'

/** The newest layout that this version reads and writes. */
const newestFormat = 1
const formatFile = 'format.json'

export type DataDirectoryRole = 'broker' | 'coordinator'

/** Whom the data belong to: what is given or stored later must be the same. */
export interface DataDirectoryOwner {
  readonly clusterId?: string
  readonly brokerId?: number
}

export interface DataDirectoryFormat extends DataDirectoryOwner {
  readonly format: number
  readonly role: DataDirectoryRole
  /** ISO 8601. */
  readonly createdAt: string
}

export interface DataDirectoryOptions extends DataDirectoryOwner, FolderLockOptions {
  readonly role: DataDirectoryRole
  /** Wall clock, ms since 1970. @defaultValue that of the machine */
  readonly now?: () => number
}

/**
 * `locked` another process uses it · `newer_format` a later version wrote it · `foreign` it belongs to another cluster
 * or broker · `invalid` it is not one of ours, not of this role, damaged, or cannot be used.
 */
export class DataDirectoryError extends Error {
  override readonly name = 'DataDirectoryError'
  readonly kind: 'locked' | 'newer_format' | 'invalid' | 'foreign'

  constructor(kind: DataDirectoryError['kind'], what: string, cause?: unknown) {
    super(what, { cause })
    this.kind = kind
  }
}

/** A folder that is ours alone until `close`, or until the process ends in any way. */
export interface DataDirectory extends Closable {
  /** Absolute. */
  readonly root: string
  readonly storage: Storage
  readonly format: DataDirectoryFormat
  /** Resolves when the folder was taken from us or its lock file removed: stop at once. */
  readonly lost: Promise<void>
  /**
   * Writes down whom the data belong to, durably, once that is known; what is known already must be the same.
   * @throws DataDirectoryError `foreign`
   */
  claim(owner: DataDirectoryOwner): Promise<void>
}

/**
 * Opens the data directory `root`, making it when there is none or when it is empty.
 * @throws DataDirectoryError, whose message names the folder and what is wrong with it
 * @throws StorageError when the disk is full or fails
 */
export async function openDataDirectory(
  root: string,
  options: DataDirectoryOptions,
): Promise<DataDirectory> {
  const path = resolve(root)
  try {
    await makeFolder(path)
    await refuseForeignFiles(path)
    const lock = await lockFolder(path, options)
    if ('heldBy' in lock)
      throw new DataDirectoryError('locked', `${path} is in use by process ${lock.heldBy}`)
    return await openLocked(path, lock, options).catch(async (error: unknown) => {
      await lock.release()
      throw error
    })
  } catch (error) {
    throw unusable(path, error)
  }
}

async function openLocked(
  path: string,
  lock: FolderLock,
  options: DataDirectoryOptions,
): Promise<DataDirectory> {
  const storage = fileStorage(path)
  const format = await readFormat(path, storage)
  if (format !== undefined && format.role !== options.role) {
    throw new DataDirectoryError(
      'invalid',
      `${path} holds the data of a ${format.role}, not of a ${options.role}`,
    )
  }
  const now = options.now ?? Date.now
  const fresh = {
    format: newestFormat,
    role: options.role,
    createdAt: new Date(now()).toISOString(),
  }
  const directory = new OpenDataDirectory({ path, storage, lock, format: format ?? fresh })
  if (format === undefined) {
    // Again, for a starter that was killed between making the folder and syncing its name.
    await syncPath(dirname(path))
    await writeFormat(storage, fresh)
  }
  await directory.claim(options)
  return directory
}

class OpenDataDirectory implements DataDirectory {
  readonly root: string
  readonly storage: Storage
  readonly #lock: FolderLock
  #format: DataDirectoryFormat

  constructor(parts: {
    path: string
    storage: Storage
    lock: FolderLock
    format: DataDirectoryFormat
  }) {
    this.root = parts.path
    this.storage = parts.storage
    this.#lock = parts.lock
    this.#format = parts.format
  }

  get format(): DataDirectoryFormat {
    return this.#format
  }

  get lost(): Promise<void> {
    return this.#lock.lost
  }

  async claim(owner: DataDirectoryOwner): Promise<void> {
    const claimed = { ...this.#format }
    for (const name of ['clusterId', 'brokerId'] as const) {
      const [known, given] = [this.#format[name], owner[name]]
      if (given === undefined || given === known) continue
      if (known !== undefined) {
        throw new DataDirectoryError(
          'foreign',
          `${this.root} belongs to ${name} ${known}, not to ${given}`,
        )
      }
      Object.assign(claimed, { [name]: given })
    }
    if (JSON.stringify(claimed) === JSON.stringify(this.#format)) return
    await writeFormat(this.storage, claimed)
    this.#format = claimed
  }

  close(): Promise<void> {
    return this.#lock.release()
  }
}

/** Makes the folder and those above it, durably. */
async function makeFolder(path: string): Promise<void> {
  const first = await mkdir(path, { recursive: true, mode: 0o700 })
  if (first === undefined) return
  for (let made = path; made !== dirname(first); made = dirname(made)) await syncPath(dirname(made))
}

/** Looks before anything is written: a mistyped path must not leave a trace in somebody's home. */
async function refuseForeignFiles(path: string): Promise<void> {
  const own = (name: string): boolean =>
    isLockFile(name) || name === `${formatFile}.new` || name === 'lost+found'
  const [stranger] = (await readdir(path)).filter((name) => !own(name))
  // The second look is for a starter that made the directory while we were looking.
  if (stranger === undefined || (await readdir(path)).includes(formatFile)) return
  throw new DataDirectoryError(
    'invalid',
    `${path} has no ${formatFile} but other files, such as ${stranger}`,
  )
}

function writeFormat(storage: Storage, format: DataDirectoryFormat): Promise<void> {
  return replaceFile(
    storage,
    formatFile,
    new TextEncoder().encode(`${JSON.stringify(format, undefined, 2)}\n`),
  )
}

/** @returns undefined when there is none: the directory is new */
async function readFormat(
  path: string,
  storage: Storage,
): Promise<DataDirectoryFormat | undefined> {
  const bytes = await readWhole(storage, formatFile)
  if (bytes === undefined) return undefined
  const damaged = new DataDirectoryError('invalid', `${path}/${formatFile} is damaged`)
  const fields = new Map(Object.entries(parsed(bytes, damaged)))
  const [format, role, createdAt] = ['format', 'role', 'createdAt'].map((name) => fields.get(name))
  if (typeof format !== 'number' || !Number.isSafeInteger(format) || format < 1) throw damaged
  if (format > newestFormat) {
    const what = `${path} has format ${format}; this version reads up to ${newestFormat}`
    throw new DataDirectoryError('newer_format', what)
  }
  if (role !== 'broker' && role !== 'coordinator') throw damaged
  if (typeof createdAt !== 'string') throw damaged
  const [clusterId, brokerId] = [fields.get('clusterId'), fields.get('brokerId')]
  if (clusterId !== undefined && typeof clusterId !== 'string') throw damaged
  if (brokerId !== undefined && typeof brokerId !== 'number') throw damaged
  return {
    format,
    role,
    ...(clusterId !== undefined && { clusterId }),
    ...(brokerId !== undefined && { brokerId }),
    createdAt,
  }
}

function parsed(bytes: Uint8Array, damaged: DataDirectoryError): object {
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(bytes))
    if (typeof value === 'object' && value !== null) return value
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
  }
  throw damaged
}

/** What the user can mend by naming another folder or by changing its rights. */
const unusableCodes: readonly unknown[] = [
  'EACCES',
  'EPERM',
  'EROFS',
  'ENOTDIR',
  'EEXIST',
  'ELOOP',
  'ENAMETOOLONG',
]

function unusable(path: string, error: unknown): unknown {
  const code = errorCode(error)
  if (code === undefined) return error
  if (!unusableCodes.includes(code)) return storageError('use', path, error)
  const reason = error instanceof Error ? error.message : String(error)
  return new DataDirectoryError('invalid', `${path} cannot be used: ${reason}`, error)
}
