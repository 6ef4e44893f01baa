import type { Slot } from './run-windows.ts'
import type { DroppedRecord } from './run.ts'

/** Which records of remembered runs dedup ids dropped: by window, then by the base of the run. In memory only. */
export class DroppedRecords {
  readonly #most: number
  readonly #lists = new Map<Slot, Map<number, readonly DroppedRecord[]>>()
  #size = 0

  /** Beyond `most` records, over all runs, the list of another run is not kept. */
  constructor(most: number) {
    this.#most = most
  }

  add(slot: Slot, base: number, records: readonly DroppedRecord[]): void {
    if (records.length === 0 || this.#size + records.length > this.#most) return
    const lists = this.#lists.get(slot) ?? new Map<number, readonly DroppedRecord[]>()
    this.#lists.set(slot, lists.set(base, records))
    this.#size += records.length
  }

  /** @returns undefined when none were dropped, or which ones is not known */
  of(slot: Slot, base: number): readonly DroppedRecord[] | undefined {
    return this.#lists.get(slot)?.get(base)
  }

  remove(slot: Slot, base: number): void {
    const lists = this.#lists.get(slot)
    this.#size -= lists?.get(base)?.length ?? 0
    lists?.delete(base)
    if (lists?.size === 0) this.#lists.delete(slot)
  }

  removeWindow(slot: Slot): void {
    for (const records of this.#lists.get(slot)?.values() ?? []) this.#size -= records.length
    this.#lists.delete(slot)
  }
}
