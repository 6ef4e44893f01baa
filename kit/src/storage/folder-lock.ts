/**
 * One process at a time in a folder, without a lock of the kernel (Node has none). The lock is a row of files
 * `lock-1`, `lock-2`, …, each naming the process that made it; the one with the highest number holds the folder.
 *
 *   1. Look at the highest file, n. Its process lives: the folder is held. It is dead, or the file is empty: go on.
 *   2. Link a finished file to the name `lock-<n + 1>`. A link is whole at once and fails when the name is taken, so of
 *      all that saw n dead one gets it; the others begin again and find it alive.
 *   3. Look again. A higher file is there: the look in 1 was long ago. Take the own file away and begin again.
 *   4. Remove the lower files, and the finished ones that nobody linked.
 *
 * The highest file is never removed (giving the lock up empties it), so the number never goes back; a process once dead
 * stays dead. Hence whoever passes 3 knows that each lower holder is dead, and that whoever comes later sees it alive.
 *
 * A process in another container cannot be looked at. Each holder therefore touches its file every second, and one
 * from elsewhere that does not for five is dead. Should it only have been frozen, it learns from its next touch that its
 * file is gone.
 */
import {
  link,
  readdir,
  readFile,
  stat,
  truncate,
  unlink,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { deferred } from '../deferred.ts'
import { errorCode, fineWhenMissing } from './disk-error.ts'
import { livenessOf, ownIdentity, type ProcessIdentity } from './process-identity.ts'

export interface FolderLock {
  /** Resolves when the lock is another's or its file was removed: stop at once. */
  readonly lost: Promise<void>
  /** Gives the folder up. Twice is once. */
  release(): Promise<void>
}

export interface FolderLockOptions {
  /** How often the holder touches its file. @defaultValue 1_000 */
  readonly touchEveryMs?: number
  /** How long a holder in another container may be silent. @defaultValue 5_000 */
  readonly patienceMs?: number
}

/** Is this a file of the lock? */
export function isLockFile(name: string): boolean {
  return /^lock-\d+(?:\.\d+\.new)?$/.test(name)
}

/** @returns the lock, or who has it */
export async function lockFolder(
  folder: string,
  { touchEveryMs = 1_000, patienceMs = 5_000 }: FolderLockOptions = {},
): Promise<FolderLock | { readonly heldBy: number }> {
  const own = await ownIdentity()
  for (;;) {
    const highest = (await generations(folder)).at(-1) ?? 0
    const holder = highest === 0 ? undefined : await readHolder(folder, highest)
    if (holder !== undefined && (await isAlive({ folder, highest, holder, own, patienceMs }))) {
      return { heldBy: holder.pid }
    }
    if (!(await claim(folder, highest + 1, own))) continue
    const now = await generations(folder)
    if (now.at(-1) !== highest + 1) {
      await removeIfThere(pathOf(folder, highest + 1))
      continue
    }
    await removeLeftovers(folder, highest + 1)
    return new HeldLock(pathOf(folder, highest + 1), touchEveryMs)
  }
}

class HeldLock implements FolderLock {
  readonly #path: string
  readonly #lost = deferred()
  readonly #beat: NodeJS.Timeout
  #released: Promise<void> | undefined

  constructor(path: string, touchEveryMs: number) {
    this.#path = path
    this.#beat = setInterval(() => void this.#touch(), touchEveryMs)
    this.#beat.unref()
  }

  get lost(): Promise<void> {
    return this.#lost.promise
  }

  release(): Promise<void> {
    clearInterval(this.#beat)
    this.#released ??= truncate(this.#path).catch(fineWhenMissing)
    return this.#released
  }

  /** A touch that fails for another reason is made up for by the next one. */
  async #touch(): Promise<void> {
    const now = new Date()
    const failure: unknown = await utimes(this.#path, now, now).catch((error: unknown) => error)
    if (errorCode(failure) !== 'ENOENT') return
    clearInterval(this.#beat)
    this.#lost.resolve()
  }
}

interface Sighting {
  readonly folder: string
  readonly highest: number
  readonly holder: ProcessIdentity
  readonly own: ProcessIdentity
  readonly patienceMs: number
}

async function isAlive({ folder, highest, holder, own, patienceMs }: Sighting): Promise<boolean> {
  const liveness = await livenessOf(holder, own)
  if (liveness !== 'elsewhere') return liveness === 'alive'
  const path = pathOf(folder, highest)
  const touchedAt = await lastTouch(path)
  const step = patienceMs / 10
  for (let waited = 0; waited < patienceMs; waited += step) {
    await pause(step)
    if ((await lastTouch(path)) !== touchedAt)
      return (await readHolder(folder, highest)) !== undefined
  }
  return false
}

async function lastTouch(path: string): Promise<number | undefined> {
  const stats = await stat(path).catch(fineWhenMissing)
  return stats?.mtimeMs
}

/** Puts our file under this number. @returns whether nobody else was faster */
async function claim(folder: string, generation: number, own: ProcessIdentity): Promise<boolean> {
  const path = pathOf(folder, generation)
  claims += 1
  const finished = `${path}.${own.pid}${claims}.new`
  await writeFile(finished, `${JSON.stringify(own)}\n`, { mode: 0o600 })
  try {
    await link(finished, path)
    return true
  } catch (error) {
    // ENOENT: a faster one took our finished file for the leftover of a starter that was killed.
    if (errorCode(error) !== 'EEXIST' && errorCode(error) !== 'ENOENT') throw error
    return false
  } finally {
    await removeIfThere(finished)
  }
}

/** Two claims of one process do not share a file. */
let claims = 0

/** Removes each file of the lock but ours: lower ones, and those of starters that were killed half way. */
async function removeLeftovers(folder: string, generation: number): Promise<void> {
  const own = `lock-${generation}`
  const names = await readdir(folder)
  const leftovers = names.filter(
    (name) => isLockFile(name) && name !== own && numberOf(name) <= generation,
  )
  await Promise.all(leftovers.map((name) => removeIfThere(join(folder, name))))
}

/** The numbers of the lock's files, lowest first. */
async function generations(folder: string): Promise<number[]> {
  const names = await readdir(folder)
  return names
    .filter((name) => /^lock-\d+$/.test(name))
    .map(numberOf)
    .toSorted((a, b) => a - b)
}

/** @returns undefined for a lock that was given up, and for one that a power cut left unwritten */
async function readHolder(
  folder: string,
  generation: number,
): Promise<ProcessIdentity | undefined> {
  const text = await readFile(pathOf(folder, generation), 'utf8').catch(fineWhenMissing)
  const fields = new Map(Object.entries(parsed(text ?? '')))
  const pid = fields.get('pid')
  if (typeof pid !== 'number' || !Number.isSafeInteger(pid) || pid <= 0) return undefined
  const word = (name: string): string => String(fields.get(name) ?? '')
  return {
    pid,
    startedAt: word('startedAt'),
    boot: word('boot'),
    pidNamespace: word('pidNamespace'),
  }
}

function parsed(text: string): object {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? value : {}
  } catch (error) {
    if (error instanceof SyntaxError) return {}
    throw error
  }
}

function numberOf(name: string): number {
  return Number.parseInt(name.slice('lock-'.length), 10)
}

function pathOf(folder: string, generation: number): string {
  return join(folder, `lock-${generation}`)
}

async function removeIfThere(path: string): Promise<void> {
  await unlink(path).catch(fineWhenMissing)
}
