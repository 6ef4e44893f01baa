import { between, type Clock, type Random, type Storage } from '@popmq/kit'
import {
  type CrashMode,
  MemoryStorage,
  type StorageFault,
  type StorageOperation,
} from '@popmq/kit/testing'
import type { Trace } from './trace.ts'

/** How a disk behaves at present; the world changes it as faults come and go. */
export interface DiskWeather {
  lowMs: number
  highMs: number
  /** Share of writes that write less than asked, without an error. */
  shortShare: number
}

export const fairDisk: Readonly<DiskWeather> = { lowMs: 0.05, highMs: 1.5, shortShare: 0 }

const plentyBytes = 2 ** 30

/** The disk of one node: it outlives the processes on it, and loses at a crash what a disk may lose. */
export class SimDisk {
  readonly weather: DiskWeather = { ...fairDisk }
  readonly #node: string
  readonly #random: Random
  readonly #trace: Trace
  #storage: MemoryStorage
  #faults = 0

  constructor(
    node: string,
    { clock, random, trace }: { clock: Clock; random: Random; trace: Trace },
  ) {
    this.#node = node
    this.#random = random
    this.#trace = trace
    this.#storage = new MemoryStorage({
      capacityBytes: plentyBytes,
      schedule: (run) => void clock.after(this.#latencyMs(), run),
      fault: (operation) => this.#faultOf(operation),
    })
  }

  /** For the process that runs now. */
  get storage(): Storage {
    return this.#storage
  }

  /** Failures (not short writes) of this disk so far. */
  get faults(): number {
    return this.#faults
  }

  /** The next sync, or write, fails for good. */
  failNext(kind: 'sync' | 'write'): void {
    this.#faults += 1
    this.#trace.event(this.#node, 'disk_will_fail', kind)
    this.#storage.failNext(kind)
  }

  /** Lets `effects` more of the disk's effects take place; the next one never completes, and `stopped` is called. */
  stopAfter(effects: number, stopped: () => void): void {
    const storage = this.#storage
    this.#trace.event(this.#node, 'disk_will_stop', effects)
    storage.stopAfter(storage.effects.length + effects)
    void storage.stopped.then(() => {
      if (this.#storage === storage) stopped()
    })
  }

  /** Leaves room for `bytes` more. */
  async fill(bytes: number): Promise<void> {
    const { freeBytes, totalBytes } = await this.#storage.space()
    this.#trace.event(this.#node, 'disk_fills', totalBytes - freeBytes, bytes)
    this.#faults += 1
    this.#storage.setCapacity(totalBytes - freeBytes + bytes)
  }

  empty(): void {
    this.#trace.event(this.#node, 'disk_has_room')
    this.#storage.setCapacity(plentyBytes)
  }

  /** The process, or the machine, is gone; the next one finds what is left. */
  crash(mode: CrashMode): void {
    this.#storage = this.#storage.crash({ mode, random: this.#random })
  }

  heal(): void {
    Object.assign(this.weather, fairDisk)
    this.empty()
  }

  #latencyMs(): number {
    const { lowMs, highMs } = this.weather
    return lowMs + this.#random.next() * (highMs - lowMs)
  }

  #faultOf({ kind, path, bytes }: StorageOperation): StorageFault {
    this.#trace.event(this.#node, kind, path, bytes)
    if (kind !== 'write' || this.weather.shortShare === 0 || bytes < 2) return 'ok'
    if (this.#random.next() >= this.weather.shortShare) return 'ok'
    return { short: between(this.#random, 1, bytes - 1) }
  }
}
