import { assert, type Clock, deferred, type Deferred, StorageError } from '@popmq/kit'
import { type LogPosition, logPosition, MqError, type TimeMs } from '@popmq/protocol'
import { MemoryTail, type Room } from './memory-tail.ts'
import type { Segments } from './segments.ts'

export interface CommitLogOptions {
  readonly segments: Segments
  readonly clock: Clock
  /** Where the log ends after recovery; all below is synced. */
  readonly end: LogPosition
  /** The newest append time found by recovery. */
  readonly lastAppendedAt: TimeMs
  readonly segmentBytes: number
  readonly chunkBytes: number
  readonly tailBytes: number
  readonly mostUnsyncedBytes: number
  /**
   * Applies the records below the new commit position to the views: called before anyone who waits is told.
   * @returns below which position the views need the memory tail no more
   */
  readonly onCommit: (commit: LogPosition) => LogPosition
  /** A segment will begin at `base`; told before anything is appended to it. */
  readonly onRoll: (base: LogPosition) => void
  /** A write or sync failed: nothing may be acknowledged any more, the process must stop. */
  readonly onFailed: (error: MqError) => void
}

interface SyncWaiter {
  readonly position: LogPosition
  readonly reached: Deferred<void>
}

/** How long a full disk is left alone before the same bytes are tried again. */
const fullDiskRetryMs = 1_000

/**
 * The shared log of one replica set. Appends are written to memory; one write and one sync run at a time, and what is
 * appended meanwhile shares the next (group commit).
 *
 *     idle ──append──▶ flushing ──synced, nothing new──▶ idle          patient appends alone leave it idle
 *     flushing ──disk full──▶ stalled ──retry──▶ flushing        appends are refused, the unsynced tail waits in memory
 *     any ──write or sync failed──▶ failed                        for good: a second sync would lie
 *
 * Invariant: commit position ≤ synced position ≤ end. With one replica the commit position is the synced position.
 */
export class CommitLog {
  readonly #segments: Segments
  readonly #tail: MemoryTail
  readonly #options: CommitLogOptions
  readonly #waiters: SyncWaiter[] = []
  /** Where segments that were decided on, but have no file yet, begin. */
  readonly #boundaries: LogPosition[] = []
  #segmentBase: LogPosition
  #synced: LogPosition
  /** What lies above may wait until something is wanted. */
  #wanted: LogPosition
  #lastAppendedAt: TimeMs
  #state: 'idle' | 'flushing' | 'stalled' | 'failed' | 'closed' = 'idle'
  #flushed: Promise<void> = Promise.resolve()
  #syncs = 0

  constructor(options: CommitLogOptions) {
    this.#options = options
    this.#segments = options.segments
    this.#segmentBase = options.segments.active.base
    this.#synced = options.end
    this.#wanted = options.end
    this.#lastAppendedAt = options.lastAppendedAt
    this.#tail = new MemoryTail({
      end: options.end,
      chunkBytes: options.chunkBytes,
      keepBytes: options.tailBytes,
    })
  }

  get end(): LogPosition {
    return this.#tail.end
  }
  get synced(): LogPosition {
    return this.#synced
  }
  get commit(): LogPosition {
    return this.#synced
  }
  get tail(): Pick<MemoryTail, 'start' | 'end' | 'slices'> {
    return this.#tail
  }
  /** A run must fit in a segment. */
  get mostRunBytes(): number {
    return this.#options.segmentBytes
  }
  get isStalled(): boolean {
    return this.#state === 'stalled'
  }
  /** How many syncs this log has asked for. */
  get syncs(): number {
    return this.#syncs
  }
  /** The base of the segment that the next byte goes to. */
  get activeBase(): LogPosition {
    return this.#segmentBase
  }

  /**
   * The append time of what is appended now: never smaller than an earlier one, whatever the clock does, and not before
   * a time that has come by other reckoning than that clock's.
   */
  stamp(notBefore: TimeMs = 0): TimeMs {
    this.#lastAppendedAt = Math.max(this.#lastAppendedAt, this.#options.clock.now(), notBefore)
    return this.#lastAppendedAt
  }

  /**
   * Room for `bytes` bytes at the end; a run is one room, so it never spans two segments. `take` makes it part of the log.
   * @throws MqError `disk_full`, `broker_busy`, `disk_failed`, `shutting_down`
   */
  reserve(bytes: number): Room {
    this.#checkAppendable(bytes)
    if (this.end - this.#segmentBase + bytes > this.#options.segmentBytes) {
      this.roll()
    }
    return this.#tail.reserve(bytes)
  }

  #checkAppendable(bytes: number): void {
    assert(bytes <= this.#options.segmentBytes, 'a run fits in a segment')
    if (this.#state === 'stalled')
      throw new MqError('disk_full', 'the disk of the broker is full', {
        retryAfterMs: fullDiskRetryMs,
      })
    if (this.#state === 'failed') throw new MqError('disk_failed', 'the disk of the broker failed')
    if (this.#state === 'closed') throw new MqError('shutting_down', 'the broker is stopping')
    if (this.end - this.#synced > this.#options.mostUnsyncedBytes) {
      throw new MqError(
        'broker_busy',
        `more than ${this.#options.mostUnsyncedBytes} bytes wait to be synced`,
        { retryAfterMs: 50 },
      )
    }
  }

  /** Begins a new segment with the next append, so that cleaning can take the present one. */
  roll(): void {
    if (this.end === this.#segmentBase) return
    this.#segmentBase = this.end
    this.#boundaries.push(this.end)
    this.#options.onRoll(this.end)
  }

  /**
   * Appends the first `bytes` bytes of the room reserved last, and sees that they are synced soon. Patient ones begin no
   * flush: they share the next, unless half of what may be unsynced has gathered.
   */
  take(bytes: number, { isPatient = false }: { readonly isPatient?: boolean } = {}): void {
    this.#tail.advance(bytes)
    const isMuch = this.end - this.#synced > this.#options.mostUnsyncedBytes / 2
    if (!isPatient || isMuch) this.#want(this.end)
  }

  /** Sees that what waits patiently is synced too. */
  flushPatient(): void {
    this.#want(this.end)
  }

  #want(position: LogPosition): void {
    if (position > this.#wanted) this.#wanted = position
    if (this.#state !== 'idle' || this.#wanted <= this.#synced) return
    this.#state = 'flushing'
    this.#flushed = this.#flush()
  }

  /** Resolves when everything below `position` is synced. @throws MqError `outcome_unknown` when that will not be told */
  whenSynced(position: LogPosition): Promise<void> {
    if (position <= this.#synced) return Promise.resolve()
    if (this.#state === 'failed' || this.#state === 'stalled')
      return Promise.reject(this.#unknown())
    this.#want(position)
    const waiter = { position, reached: deferred() }
    // Positions are asked for in the order of appends, but a duplicate may ask for an earlier one.
    const at = this.#waiters.findLastIndex((other) => other.position <= position)
    this.#waiters.splice(at + 1, 0, waiter)
    return waiter.reached.promise
  }

  /** Syncs what was appended, then refuses appends. */
  async close(): Promise<void> {
    do {
      this.flushPatient()
      await this.#flushed
    } while (this.#state === 'idle' && this.#synced < this.end)
    if (this.#state === 'idle') this.#state = 'closed'
    this.#rejectWaiters()
  }

  async #flush(): Promise<void> {
    // The appends of this turn of the event loop share the first sync.
    await Promise.resolve()
    while (this.#synced < this.#wanted && this.#state === 'flushing') {
      const target = this.end
      const failure = (await this.#writeAndSync(target)) ?? this.#advanceSynced(target)
      if (failure !== undefined) this.#flushFailed(failure)
    }
    if (this.#state === 'flushing') this.#state = 'idle'
  }

  /** @returns what went wrong, if anything */
  async #writeAndSync(target: LogPosition): Promise<unknown> {
    try {
      let from = logPosition(Math.max(this.#synced, this.#segments.active.base))
      while (from < target) {
        const boundary = this.#boundaries[0]
        if (boundary !== undefined && boundary === from) {
          await this.#segments.roll(from)
          this.#boundaries.shift()
          continue
        }
        const to = boundary === undefined || boundary > target ? target : boundary
        await this.#segments.write(from, this.#tail.slices(from, to))
        from = to
      }
      this.#syncs += 1
      await this.#segments.sync()
      return undefined
    } catch (error) {
      return error
    }
  }

  /** @returns what went wrong, if anything: a view that cannot take a record is as final as a failed disk */
  #advanceSynced(target: LogPosition): unknown {
    this.#synced = target
    try {
      this.#tail.release(this.#options.onCommit(target))
    } catch (error) {
      return error
    }
    let reached = 0
    while ((this.#waiters[reached]?.position ?? Number.POSITIVE_INFINITY) <= target) reached += 1
    for (const waiter of this.#waiters.splice(0, reached)) waiter.reached.resolve()
    return undefined
  }

  #flushFailed(failure: unknown): void {
    const isFull = failure instanceof StorageError && failure.kind === 'full'
    this.#state = isFull ? 'stalled' : 'failed'
    this.#rejectWaiters()
    if (isFull) this.#options.clock.after(fullDiskRetryMs, () => this.#retry())
    else
      this.#options.onFailed(
        new MqError('disk_failed', `writing the log failed: ${messageOf(failure)}`, {
          cause: failure,
        }),
      )
  }

  #retry(): void {
    if (this.#state !== 'stalled') return
    this.#state = 'flushing'
    this.#flushed = this.#flush()
  }

  #rejectWaiters(): void {
    for (const waiter of this.#waiters.splice(0)) waiter.reached.reject(this.#unknown())
  }

  #unknown(): MqError {
    return new MqError('outcome_unknown', 'the message was received but its sync was not confirmed')
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
