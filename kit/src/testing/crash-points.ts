import { assert } from '../assert.ts'
import type { CrashMode } from './memory-file.ts'
import { MemoryStorage, type MemoryStorageOptions } from './memory-storage.ts'
import { SeededRandom } from './seeded-random.ts'

/** What is known about the process at the moment it crashed. */
export interface CrashProgress<Note> {
  /** What the script noted before the crash: what it had promised to others, in order. */
  readonly notes: readonly Note[]
  /** How many effects had taken place, 0 to all of them. */
  readonly effects: number
  readonly mode: CrashMode
  readonly seed: number
}

/** Works on `storage` and notes each promise at the moment it is made. Must do the same each time. */
export type CrashScript<Note> = (
  storage: MemoryStorage,
  note: (promise: Note) => void,
) => Promise<void>

/** Recovers from what is left and throws unless every noted promise was kept. */
export type CrashCheck<Note> = (
  storage: MemoryStorage,
  progress: CrashProgress<Note>,
) => Promise<void> | void

export interface CrashPointOptions {
  /** @defaultValue `lose`, `keep`, `random` and `torn` */
  readonly modes?: readonly CrashMode[]
  /** @defaultValue 1 */
  readonly seed?: number
  /** How many outcomes of each mode that draws are tried at each point. @defaultValue 3 */
  readonly draws?: number
  /** Makes the options of each storage anew, so that a schedule or a fault policy starts over. */
  readonly storage?: () => MemoryStorageOptions
}

/**
 * Runs `script` once to count its effects, then once for each boundary between two effects, and there lets the
 * storage crash in every mode and `check` what is left. A failure names the point; it is the same in each run.
 * @returns how many crashes were checked
 */
export async function enumerateCrashPoints<Note>(
  script: CrashScript<Note>,
  check: CrashCheck<Note>,
  options: CrashPointOptions = {},
): Promise<number> {
  const { seed = 1, modes = ['lose', 'keep', 'random', 'torn'], draws = 3 } = options
  const run = (effects: number): Promise<Stopped<Note>> =>
    runUntil(script, new MemoryStorage(options.storage?.()), effects)
  const total = (await run(Number.POSITIVE_INFINITY)).storage.effects.length
  const outcomes = modes.flatMap((mode) => Array<CrashMode>(isDrawn(mode) ? draws : 1).fill(mode))
  let crashes = 0
  for (let effects = 0; effects <= total; effects += 1) {
    const { storage, notes } = await run(effects)
    assert(storage.effects.length === effects, 'a script does the same each time')
    for (const mode of outcomes) {
      const progress = { notes, effects, mode, seed: seed + crashes }
      const left = storage.crash({ mode, random: new SeededRandom(progress.seed) })
      try {
        await check(left, progress)
      } catch (error) {
        throw new Error(`${describe(storage, progress, total)}: ${String(error)}`, { cause: error })
      }
      crashes += 1
    }
  }
  return crashes
}

interface Stopped<Note> {
  readonly storage: MemoryStorage
  readonly notes: readonly Note[]
}

/** Runs the script until it ends, or until it wants one effect more than it may have and all else has settled. */
async function runUntil<Note>(
  script: CrashScript<Note>,
  storage: MemoryStorage,
  effects: number,
): Promise<Stopped<Note>> {
  const notes: Note[] = []
  let stopped = false
  let failure: { readonly error: unknown } | undefined
  storage.stopAfter(effects)
  const ended = script(storage, (promise) => void notes.push(promise)).catch((error: unknown) => {
    // Once the storage stands still the script cannot go on as it should, so how it ends no longer matters.
    if (!stopped) failure = { error }
  })
  await Promise.race([ended, storage.stopped.then(() => (stopped = true))])
  await new Promise((resolve) => setImmediate(resolve))
  if (failure !== undefined)
    throw new Error('the script failed without a crash', { cause: failure.error })
  return { storage, notes: [...notes] }
}

function isDrawn(mode: CrashMode): boolean {
  return mode === 'random' || mode === 'torn'
}

function describe(
  storage: MemoryStorage,
  { effects, mode, seed }: CrashProgress<unknown>,
  total: number,
): string {
  const last = storage.effects.at(-1)
  const what =
    last === undefined ? 'before any' : `the last: ${last.kind} ${last.path}, ${last.bytes} bytes`
  return `crash after effect ${effects} of ${total} (${what}), mode ${mode}, seed ${seed}`
}
