import { assert, type Deferred, deferred } from '@popmq/kit'
import { encodeProgress, type ProgressRow } from './group-values.ts'

/**
 * The next offset to read, by partition. What is accepted counts for the next commit and the next grant at once; it is
 * acknowledged when it is durable.
 *    unstarted → started     the first offsets are written
 *    clean ⇄ dirty           something is accepted that is not durable
 */
export class Progress {
  /** Where its node is. */
  readonly path: string
  /** Of its node; 0: there is none. */
  version = 0
  isStarted = false
  /** A write of it is under way, or who resets it holds it: nobody else writes it. */
  busy: Promise<void> | undefined
  /** Its topic or group was deleted: its node goes or is gone. */
  isGone = false
  #rows: ProgressRow[] = []
  #durable: readonly ProgressRow[] = []
  #waiting: Deferred<void>[] = []

  constructor(path: string) {
    this.path = path
  }

  /** The offset accepted. Partitions that were added since the start begin at 0. */
  at(partition: number): number {
    return this.#rows[partition]?.offset ?? 0
  }

  durableAt(partition: number): number {
    return this.#durable[partition]?.offset ?? 0
  }

  restore(rows: readonly ProgressRow[], version: number): void {
    this.#rows = [...rows]
    this.#durable = rows
    this.version = version
    this.isStarted = true
  }

  accept(partition: number, row: ProgressRow): void {
    while (this.#rows.length <= partition) this.#rows.push({ offset: 0, epoch: 0 })
    this.#rows[partition] = row
  }

  /** Resolves when all that is accepted now is durable. */
  durable(): Promise<void> {
    assert(!this.isGone, 'progress that was deleted is not written')
    const wait = deferred()
    this.#waiting.push(wait)
    return wait.promise
  }

  /** What a write of it takes along, with changes over what is accepted; the answers it settles. */
  snapshot(changes: ReadonlyMap<number, ProgressRow> = new Map()): ProgressSnapshot {
    const rows = [...this.#rows]
    for (const [partition, row] of changes) {
      while (rows.length <= partition) rows.push({ offset: 0, epoch: 0 })
      rows[partition] = row
    }
    const waiting = this.#waiting
    this.#waiting = []
    return { rows, changes, waiting, value: encodeProgress(rows) }
  }

  /** The snapshot is in the registry. */
  stored({ rows, changes, waiting }: ProgressSnapshot): void {
    this.version += 1
    this.isStarted = true
    this.#durable = rows
    for (const [partition, row] of changes) this.accept(partition, row)
    for (const wait of waiting) wait.resolve()
  }

  /** The snapshot was not written, or it is not known whether it was. */
  failed({ waiting }: ProgressSnapshot, reason: Error): void {
    for (const wait of waiting) wait.reject(reason)
  }

  /** Ends what waits. */
  abandon(reason: Error): void {
    this.isGone = true
    for (const wait of this.#waiting) wait.reject(reason)
    this.#waiting = []
  }
}

export interface ProgressSnapshot {
  readonly rows: readonly ProgressRow[]
  readonly changes: ReadonlyMap<number, ProgressRow>
  readonly waiting: readonly Deferred<void>[]
  readonly value: Uint8Array
}
