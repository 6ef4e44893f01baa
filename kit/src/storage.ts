/**
 * Files as the core sees them. Paths are relative to the data directory, with `/` between folders. Implementations:
 * `file` on a real disk, `memory` for tests and simulation (with crashes, torn writes, full disks, failed syncs).
 * One contract suite passes on both.
 */
export interface Storage {
  /** Opens an existing file for reading and writing. @returns undefined when there is none */
  open(path: string): Promise<StorageFile | undefined>
  /** Makes a new empty file, and its folders. Its name is durable only after `syncFolder`. Fails when it exists. */
  create(path: string): Promise<StorageFile>
  /** Names and sizes of the files in a folder, sorted by name; empty when there is no such folder. */
  list(folder: string): Promise<readonly { readonly name: string; readonly bytes: number }[]>
  /** Renames over whatever has the name. Durable after `syncFolder`. */
  rename(from: string, to: string): Promise<void>
  /** Removes a file; fine when it is gone already. Durable after `syncFolder`. */
  remove(path: string): Promise<void>
  /** Makes creations, renames and removals in this folder durable. */
  syncFolder(folder: string): Promise<void>
  /** Room on the disk that holds the files. */
  space(): Promise<{ readonly freeBytes: number; readonly totalBytes: number }>
}

export interface StorageFile {
  readonly path: string
  size(): Promise<number>
  /** Reads into `target` from `at`. @returns how many bytes were there: fewer than asked only at the end of the file */
  read(target: Uint8Array, at: number): Promise<number>
  /**
   * Writes `parts` one after the other at `at`.
   * @returns how many bytes were written: may be fewer than given, without an error
   * @throws StorageError `full` when the disk has no room and nothing was written
   */
  write(parts: readonly Uint8Array[], at: number): Promise<number>
  /** Makes every write so far durable. After a failure the file can never be trusted again: stop the process. */
  sync(): Promise<void>
  truncate(bytes: number): Promise<void>
  close(): Promise<void>
}

/** What a disk may answer. `full` is expected and lived with; `failed` stops the process. */
export class StorageError extends Error {
  override readonly name = 'StorageError'
  readonly kind: 'full' | 'failed'

  constructor(kind: 'full' | 'failed', what: string, cause?: unknown) {
    super(what, { cause })
    this.kind = kind
  }
}

/** Writes all bytes, however short the writes. */
export async function writeAll(
  file: StorageFile,
  parts: readonly Uint8Array[],
  at: number,
): Promise<void> {
  let rest = parts
  let position = at
  while (rest.length > 0) {
    const written = await file.write(rest, position)
    position += written
    rest = dropFront(rest, written)
  }
}

/** `parts` without their first `bytes` bytes; empty parts go too. */
export function dropFront(parts: readonly Uint8Array[], bytes: number): Uint8Array[] {
  const rest: Uint8Array[] = []
  let skip = bytes
  for (const part of parts) {
    if (skip >= part.length) skip -= part.length
    else {
      rest.push(skip === 0 ? part : part.subarray(skip))
      skip = 0
    }
  }
  return rest
}

/** Replaces `path` by `bytes` at once: after a crash the file holds either the old or the new bytes, whole. */
export async function replaceFile(
  storage: Storage,
  path: string,
  bytes: Uint8Array,
): Promise<void> {
  const temporary = `${path}.new`
  await storage.remove(temporary)
  const file = await storage.create(temporary)
  try {
    await writeAll(file, [bytes], 0)
    await file.sync()
  } finally {
    await file.close()
  }
  await storage.rename(temporary, path)
  await storage.syncFolder(path.includes('/') ? path.slice(0, path.lastIndexOf('/')) : '')
}

/** The whole file. @returns undefined when there is none */
export async function readWhole(storage: Storage, path: string): Promise<Uint8Array | undefined> {
  const file = await storage.open(path)
  if (file === undefined) return undefined
  try {
    const bytes = new Uint8Array(await file.size())
    const read = await file.read(bytes, 0)
    return bytes.subarray(0, read)
  } finally {
    await file.close()
  }
}
