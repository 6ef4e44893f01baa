import type { Random } from '../random.ts'
import { folderOf } from '../storage/storage-path.ts'
import { type CrashMode, MemoryFile } from './memory-file.ts'

/**
 * One creation, renaming or removal. It happens as a whole or not at all, and becomes durable with its folder:
 * that of the new name for a renaming.
 */
interface NameChange {
  readonly order: number
  readonly folder: string
  /** Paths and what they name from now on; undefined for nothing. */
  readonly entries: readonly (readonly [path: string, file: MemoryFile | undefined])[]
}

/** Which path names which file: as the process sees it, as the disk holds it, and the changes that lie between. */
export class MemoryNames {
  readonly #seen: Map<string, MemoryFile>
  readonly #durable: Map<string, MemoryFile>
  #unsynced: NameChange[] = []
  #order = 0

  constructor(seen = new Map<string, MemoryFile>(), durable = new Map<string, MemoryFile>()) {
    this.#seen = seen
    this.#durable = durable
  }

  /** The number of the last change so far: what a sync that starts now has to make durable. */
  get lastChange(): number {
    return this.#order
  }

  get(path: string): MemoryFile | undefined {
    return this.#seen.get(path)
  }

  files(): Iterable<MemoryFile> {
    return this.#seen.values()
  }

  /** The files of one folder, sorted by name. */
  list(folder: string): { name: string; bytes: number }[] {
    const front = folder === '' ? 0 : folder.length + 1
    return [...this.#seen]
      .filter(([path]) => folderOf(path) === folder)
      .map(([path, file]) => ({ name: path.slice(front), bytes: file.length }))
      .toSorted((a, b) => (a.name < b.name ? -1 : 1))
  }

  create(path: string): MemoryFile {
    const file = new MemoryFile()
    this.#change(folderOf(path), [[path, file]])
    return file
  }

  rename(from: string, to: string, file: MemoryFile): void {
    if (from === to) return
    this.#change(folderOf(to), [
      [from, undefined],
      [to, file],
    ])
  }

  remove(path: string): void {
    if (this.#seen.has(path)) this.#change(folderOf(path), [[path, undefined]])
  }

  /** Puts a file there as if it had always been. */
  plant(path: string, file: MemoryFile): void {
    this.#seen.set(path, file)
    this.#durable.set(path, file)
  }

  /** Makes the changes of this folder durable, and those earlier ones of the same names without which they mean nothing. */
  syncFolder(folder: string, lastChange: number): void {
    const names = new Set<string>()
    const durable = this.#unsynced.toReversed().filter(({ order, folder: own, entries }) => {
      if (order > lastChange) return false
      if (own !== folder && !entries.some(([path]) => names.has(path))) return false
      for (const [path] of entries) names.add(path)
      return true
    })
    for (const change of durable.toReversed()) apply(this.#durable, change)
    this.#unsynced = this.#unsynced.filter((change) => !durable.includes(change))
  }

  /** The names and files after a crash; these stay as they are. */
  crashed(mode: CrashMode, random: Random): MemoryNames {
    const crashedFiles = new Map<MemoryFile, MemoryFile>()
    const crashedFile = (file: MemoryFile): MemoryFile => {
      const known = crashedFiles.get(file) ?? file.crashed(mode, random)
      crashedFiles.set(file, known)
      return known
    }
    const crashedMap = (names: Map<string, MemoryFile>): Map<string, MemoryFile> =>
      new Map([...names].map(([path, file]) => [path, crashedFile(file)]))

    if (mode !== 'kill') {
      const left = crashedMap(this.#surviving(mode, random))
      return new MemoryNames(left, new Map(left))
    }
    const next = new MemoryNames(crashedMap(this.#seen), crashedMap(this.#durable))
    next.#order = this.#order
    next.#unsynced = this.#unsynced.map((change) => ({
      ...change,
      entries: change.entries.map(([path, file]) => [path, file && crashedFile(file)]),
    }))
    return next
  }

  /** Changes of one name reach the disk in their order: one that is lost takes the later ones of its names with it. */
  #surviving(mode: CrashMode, random: Random): Map<string, MemoryFile> {
    const left = new Map(this.#durable)
    const stuck = new Set<string>()
    for (const change of this.#unsynced) {
      const possible = !change.entries.some(([path]) => stuck.has(path))
      const survives = mode === 'keep' || (mode !== 'lose' && random.next() < 0.5)
      if (possible && survives) apply(left, change)
      else for (const [path] of change.entries) stuck.add(path)
    }
    return left
  }

  #change(folder: string, entries: NameChange['entries']): void {
    this.#order += 1
    const change = { order: this.#order, folder, entries }
    this.#unsynced.push(change)
    apply(this.#seen, change)
  }
}

function apply(names: Map<string, MemoryFile>, { entries }: NameChange): void {
  for (const [path, file] of entries) {
    if (file === undefined) names.delete(path)
    else names.set(path, file)
  }
}
