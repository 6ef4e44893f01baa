import { assert } from '@popmq/kit'
import type { LogPosition, Offset, PartitionKey } from '@popmq/protocol'
import type { Entry } from './entry.ts'
import type { LiveBytes } from './live-bytes.ts'

/** Who has messages in hand that must outlive the horizon of their partition. */
export interface Keepers {
  /**
   * The offsets of the partition below `low` that must stay readable one by one, ascending. Asked when a horizon is
   * prepared and again when it is applied: the same are answered.
   */
  heldBelow(key: PartitionKey, low: Offset): Iterable<Offset>
}

export interface KeptEntry {
  readonly offset: Offset
  readonly entry: Entry
}

/**
 * The entries of one partition that outlived its horizon, since a group still has their messages in hand. Each is in one
 * of these states:
 *
 *     foreseen ──the horizon is applied──▶ kept ──let go, or the topic is gone──▶ (gone)
 *
 * Foreseen ones were taken out of pages that are on disk before the horizon is applied, for applying cannot wait.
 *
 * In memory about 200 bytes each, in a snapshot 40. They are as many as messages below the horizon are in hand, which is
 * bounded where they are handed out. The records of kept ones are live; those of foreseen ones are counted by their pages.
 */
export class KeptEntries {
  readonly #live: LiveBytes
  /** Ascending: what a later horizon lets go lies above what an earlier one did. */
  #kept: Map<Offset, Entry> | undefined
  #foreseen: Map<Offset, Entry> | undefined

  constructor(live: LiveBytes) {
    this.#live = live
  }

  get size(): number {
    return this.#kept?.size ?? 0
  }

  get(offset: Offset): Entry | undefined {
    return this.#kept?.get(offset)
  }

  /** Takes an entry out of its page before the page goes. */
  foresee({ offset, entry }: KeptEntry): void {
    this.#foreseen ??= new Map()
    this.#foreseen.set(offset, entry)
  }
  takeForeseen(offset: Offset): Entry | undefined {
    const entry = this.#foreseen?.get(offset)
    this.#foreseen?.delete(offset)
    return entry
  }
  /** Another horizon is prepared: none of the one before is needed any more. */
  forgetForeseen(): void {
    this.#foreseen = undefined
  }

  /** The page of this entry no longer counts it. */
  keep({ offset, entry }: KeptEntry): void {
    this.#kept ??= new Map()
    assert(!this.#kept.has(offset), 'an entry outlives its horizon once')
    this.#kept.set(offset, entry)
    this.#count(entry, 1)
  }

  /** The record has a copy at `position`. One that is not kept says nothing. */
  repoint(offset: Offset, position: LogPosition): void {
    const entry = this.#kept?.get(offset)
    if (entry === undefined) return
    this.#count(entry, -1)
    const moved = { ...entry, position }
    this.#kept?.set(offset, moved)
    this.#count(moved, 1)
  }

  /** Nobody has the message in hand any more. One that is not kept says nothing. */
  letGo(offset: Offset): void {
    const entry = this.#kept?.get(offset)
    if (entry === undefined) return
    this.#count(entry, -1)
    this.#kept?.delete(offset)
  }

  letAllGo(): void {
    for (const entry of this.#kept?.values() ?? []) this.#count(entry, -1)
    this.#kept = undefined
    this.#foreseen = undefined
  }

  /** Ascending. */
  all(): KeptEntry[] {
    return [...(this.#kept ?? [])].map(([offset, entry]) => ({ offset, entry }))
  }

  /** Takes in those of a snapshot, whose bytes are counted already. */
  restore(kept: readonly KeptEntry[]): void {
    if (kept.length === 0) return
    this.#kept = new Map(kept.map(({ offset, entry }) => [offset, entry]))
  }

  #count({ position, size }: Entry, times: 1 | -1): void {
    this.#live.add(this.#live.numberAt(position), size * times)
  }
}
