import { assert } from '../assert.ts'
import { between, type Random } from '../random.ts'

/**
 * What a crash leaves of what was never synced.
 *
 * - `kill`: the process dies and the machine stays up: all is there, still unsynced.
 * - `lose`: a power cut, nothing unsynced survives.
 * - `keep`: a power cut, all of it survives.
 * - `random`: a power cut; of each write all, some 4 KiB pages, only the length, or nothing; of the names any.
 * - `torn`: a power cut; all but the last write of each file survives, and the front of that one; of the names any.
 */
export type CrashMode = 'kill' | 'lose' | 'keep' | 'random' | 'torn'

export const crashModes = ['kill', 'lose', 'keep', 'random', 'torn'] as const satisfies CrashMode[]

type Change =
  | {
      readonly kind: 'write'
      readonly order: number
      readonly at: number
      readonly bytes: Uint8Array
    }
  | { readonly kind: 'truncate'; readonly order: number; readonly length: number }

/** The kernel writes back whole pages, a disk whole sectors, some disks not even those. */
const pageBytes = 4096
const sectorBytes = 512

/**
 * One file: its bytes as readers see them, its bytes as the disk holds them, and the changes that lie between.
 * A change that a failed sync dropped is in the first and never gets into the second.
 */
export class MemoryFile {
  /** Open handles; the bytes of a removed file count as used until the last of them is closed. */
  handles = 0
  readonly #seen: GrowingBytes
  readonly #durable: GrowingBytes
  #unsynced: Change[] = []
  #order = 0

  constructor(seen = new GrowingBytes(), durable = new GrowingBytes()) {
    this.#seen = seen
    this.#durable = durable
  }

  get length(): number {
    return this.#seen.length
  }

  /** The number of the last change so far: what a sync that starts now has to make durable. */
  get lastChange(): number {
    return this.#order
  }

  get unsyncedWrites(): number {
    return this.#unsynced.length
  }

  read(target: Uint8Array, at: number): number {
    return this.#seen.read(target, at)
  }

  bytes(): Uint8Array {
    return this.#seen.copy()
  }

  write(bytes: Uint8Array, at: number): void {
    this.#order += 1
    this.#unsynced.push({ kind: 'write', order: this.#order, at, bytes })
    this.#seen.write(bytes, at)
  }

  truncate(length: number): void {
    this.#order += 1
    this.#unsynced.push({ kind: 'truncate', order: this.#order, length })
    this.#seen.resize(length)
  }

  sync(lastChange: number): void {
    for (const change of this.#takeUntil(lastChange)) apply(this.#durable, change)
  }

  /** A sync that failed: the changes are clean as far as the kernel knows, and will never reach the disk. */
  loseUnsynced(lastChange: number): void {
    this.#takeUntil(lastChange)
  }

  flipBit(at: number, bit: number): void {
    assert(at < this.#seen.length, 'a bit is flipped inside the file')
    this.#seen.flipBit(at, bit)
    this.#durable.flipBit(at, bit)
    for (const change of this.#unsynced) {
      if (change.kind !== 'write') continue
      const byte = change.bytes[at - change.at]
      if (byte !== undefined) change.bytes[at - change.at] = byte ^ (1 << bit)
    }
  }

  /** The file after a crash; this one stays as it is, so that several outcomes can be tried. */
  crashed(mode: CrashMode, random: Random): MemoryFile {
    if (mode === 'kill') return this.#clone()
    const left = this.#durable.clone()
    const last = this.#unsynced.at(-1)
    for (const change of this.#unsynced) {
      if (mode === 'keep' || (mode === 'torn' && change !== last)) apply(left, change)
      else if (mode === 'random') applySome(left, change, random)
      else if (mode === 'torn') applyFront(left, change, random)
    }
    return new MemoryFile(left, left.clone())
  }

  #clone(): MemoryFile {
    const clone = new MemoryFile(this.#seen.clone(), this.#durable.clone())
    clone.#unsynced = this.#unsynced.map((change) =>
      change.kind === 'write' ? { ...change, bytes: change.bytes.slice() } : change,
    )
    clone.#order = this.#order
    return clone
  }

  #takeUntil(lastChange: number): Change[] {
    const later = this.#unsynced.findIndex((change) => change.order > lastChange)
    return this.#unsynced.splice(0, later === -1 ? this.#unsynced.length : later)
  }
}

function apply(target: GrowingBytes, change: Change): void {
  if (change.kind === 'write') target.write(change.bytes, change.at)
  else target.resize(change.length)
}

function applySome(target: GrowingBytes, change: Change, random: Random): void {
  const fate = between(random, 0, 3)
  if (fate === 0) return
  if (fate === 1 || change.kind === 'truncate') return apply(target, change)
  const end = change.at + change.bytes.length
  if (fate === 2) return target.resize(Math.max(target.length, end))
  for (let page = change.at - (change.at % pageBytes); page < end; page += pageBytes) {
    if (random.next() < 0.5) continue
    const from = Math.max(page, change.at)
    target.write(change.bytes.subarray(from - change.at, page + pageBytes - change.at), from)
  }
}

/** A torn write ends anywhere or at the edge of a sector; the file may be as long as if it had not been torn. */
function applyFront(target: GrowingBytes, change: Change, random: Random): void {
  if (change.kind === 'truncate') {
    if (random.next() < 0.5) apply(target, change)
    return
  }
  let end = between(random, change.at, change.at + change.bytes.length)
  if (random.next() < 0.5) end = Math.max(change.at, end - (end % sectorBytes))
  target.write(change.bytes.subarray(0, end - change.at), change.at)
  if (random.next() < 0.25) target.resize(Math.max(target.length, change.at + change.bytes.length))
}

/** Bytes that grow by writing past the end; a gap reads as zeros. */
class GrowingBytes {
  #room: Uint8Array
  #length: number

  constructor(bytes: Uint8Array = new Uint8Array()) {
    this.#room = bytes
    this.#length = bytes.length
  }

  get length(): number {
    return this.#length
  }

  read(target: Uint8Array, at: number): number {
    const found = this.#room.subarray(
      Math.min(at, this.#length),
      Math.min(at + target.length, this.#length),
    )
    target.set(found)
    return found.length
  }

  write(bytes: Uint8Array, at: number): void {
    if (bytes.length === 0) return
    this.resize(Math.max(this.#length, at + bytes.length))
    this.#room.set(bytes, at)
  }

  resize(length: number): void {
    if (length < this.#length) this.#room.fill(0, length, this.#length)
    if (length > this.#room.length) {
      const room = new Uint8Array(Math.max(length, 2 * this.#room.length))
      room.set(this.#room)
      this.#room = room
    }
    this.#length = length
  }

  flipBit(at: number, bit: number): void {
    const byte = this.#room[at]
    if (byte !== undefined && at < this.#length) this.#room[at] = byte ^ (1 << bit)
  }

  copy(): Uint8Array {
    return this.#room.slice(0, this.#length)
  }

  clone(): GrowingBytes {
    return new GrowingBytes(this.copy())
  }
}
