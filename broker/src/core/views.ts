import { deferred, type Deferred } from '@popmq/kit'
import {
  type LogPosition,
  marks,
  type PartitionKey,
  recordKinds,
  type RecordView,
} from '@popmq/protocol'
import { visitRecords } from './log/log-scan.ts'
import type { MemoryTail } from './log/memory-tail.ts'
import type { ViewSet } from './view-set.ts'

export interface ViewsParts {
  readonly viewSet: Pick<ViewSet, 'apply' | 'prepare' | 'roll'>
  readonly applied: LogPosition
  /** Everything below the position is applied, and messages became visible in these partitions. */
  readonly onApplied: (applied: LogPosition, visible: ReadonlySet<PartitionKey>) => void
  readonly onFailed: (error: unknown) => void
}

interface ApplyWaiter {
  readonly position: LogPosition
  readonly reached: Deferred<void>
}

/**
 * Carries committed records into the views, in log order, and wakes who waits for them. Most records apply at once;
 * one that needs pages from disk (moved, horizon) holds up those behind it while they are loaded.
 *
 *     idle ──commit──▶ applying ──all applied──▶ idle
 *     applying ──pages needed──▶ loading ──loaded──▶ applying
 *
 * Invariant: applied ≤ commit position; what is not applied is not visible.
 */
export class Views {
  readonly #parts: ViewsParts
  readonly #waiters: ApplyWaiter[] = []
  #tail: Pick<MemoryTail, 'slices'> | undefined
  #applied: LogPosition
  #commit: LogPosition
  /** Where segments begin of which no record is applied yet. */
  readonly #boundaries: LogPosition[] = []
  #isLoading = false
  /** The record whose pages are loaded and stay in memory until it is applied. */
  #preparedAt: LogPosition | undefined

  constructor(parts: ViewsParts) {
    this.#parts = parts
    this.#applied = parts.applied
    this.#commit = parts.applied
  }

  /** Views hold every record below. */
  get applied(): LogPosition {
    return this.#applied
  }

  /** Where committed records are read from; set once, when the log is there. */
  follow(tail: Pick<MemoryTail, 'slices'>): void {
    this.#tail = tail
  }

  /**
   * The log begins a segment at `base`. The views learn of it with its first committed record: until then a crash may
   * still take it back, and another segment begin elsewhere.
   */
  roll(base: LogPosition): void {
    this.#boundaries.push(base)
  }

  /** Applies what lies below the new commit position, now or once pages are loaded. @returns how far it came */
  commit(commit: LogPosition): LogPosition {
    this.#commit = commit
    if (!this.#isLoading) this.#apply()
    return this.#applied
  }

  /** Resolves when everything below `position` is applied. */
  whenApplied(position: LogPosition): Promise<void> {
    if (position <= this.#applied) return Promise.resolve()
    const waiter = { position, reached: deferred() }
    this.#waiters.push(waiter)
    return waiter.reached.promise
  }

  #apply(): void {
    const touched = new Set<PartitionKey>()
    const slices = this.#tail?.slices(this.#applied, this.#commit) ?? []
    visitRecords(slices, (record) => {
      if (this.#isLoading) return
      if (record.position === this.#boundaries[0]) {
        this.#parts.viewSet.roll(record.position)
        this.#boundaries.shift()
      }
      if (this.#mustLoad(record)) return
      const key = this.#parts.viewSet.apply(record)
      if (key !== undefined) touched.add(key)
      this.#applied = (record.position + record.length) as LogPosition
    })
    this.#parts.onApplied(this.#applied, touched)
    this.#tellApplied()
  }

  /** Whether the record needs pages that are not in memory; begins to load them. */
  #mustLoad(record: RecordView): boolean {
    if (!needsPages(record) || this.#preparedAt === record.position) return false
    const loading = this.#parts.viewSet.prepare([record])
    if (loading === undefined) return false
    this.#isLoading = true
    this.#preparedAt = record.position
    loading.then(
      () => {
        this.#isLoading = false
        this.#apply()
      },
      (error: unknown) => this.#parts.onFailed(error),
    )
    return true
  }

  #tellApplied(): void {
    for (let index = this.#waiters.length - 1; index >= 0; index -= 1) {
      const waiter = this.#waiters[index]
      if (waiter === undefined || waiter.position > this.#applied) continue
      this.#waiters.splice(index, 1)
      waiter.reached.resolve()
    }
  }
}

/** Whether applying the record touches entries that may be on disk. */
export function needsPages({ kind, marks: set }: RecordView): boolean {
  return kind === recordKinds.horizon || (set & marks.moved) !== 0
}
