import { StorageError } from '../storage.ts'

/** No room on the disk, or none left in the quota of the user. */
const fullCodes: readonly unknown[] = ['ENOSPC', 'EDQUOT']

/** What went wrong at `path`, as the core knows it. */
export function storageError(what: string, path: string, cause: unknown): StorageError {
  if (cause instanceof StorageError) return cause
  const kind = fullCodes.includes(errorCode(cause)) ? 'full' : 'failed'
  const reason = cause instanceof Error ? cause.message : String(cause)
  return new StorageError(kind, `${what} ${path}: ${reason}`, cause)
}

/** `ENOENT` and its like. */
export function errorCode(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined
}

/** For `.catch`: what is not there is undefined. */
export function fineWhenMissing(error: unknown): undefined {
  if (errorCode(error) !== 'ENOENT') throw error
  return undefined
}
