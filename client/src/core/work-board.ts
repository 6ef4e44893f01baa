import { assert } from '@popmq/kit'
import type { PoppedMessage } from '../api/pop-consumer.ts'

export interface WorkBoardOptions {
  /** Handlers at work at once. */
  readonly concurrency: number
  /** Messages that may wait beyond those. */
  readonly prefetch: number
  /** Most value bytes of all that is in hand. */
  readonly prefetchBytes: number
  /** Most messages of one ask. */
  readonly mostPerAsk: number
}

/**
 * A message in hand:
 *   waiting   for a handler → running; → gone when half of its lease is over: it is given back
 *   running   its handler is at work → settling; → lost
 *   lost      its handler is at work, but its lease is over → gone when the handler is done
 *   settling  its handler is done → gone when that is settled
 *   gone      nothing is known of it any more
 */
export interface Work<M = PoppedMessage> {
  readonly message: M
  readonly state: 'waiting' | 'running' | 'lost' | 'settling' | 'gone'
  /** By this clock, on the monotonic time line: the broker may end it a little sooner. */
  readonly leaseEndsAt: number
}

interface Entry<M> extends Work<M> {
  state: Work['state']
  readonly bytes: number
  leaseMs: number
  leaseEndsAt: number
  /** When to extend it, or to give it back. */
  dueAt: number
  beganAt: number
  isExtending: boolean
  isOverdue: boolean
}

/** What to ask the brokers for. */
export interface WorkAsk {
  readonly max: number
  readonly maxBytes: number
}

export interface Arrival {
  readonly now: number
  readonly leaseMs: number
}

/** An extension that failed is tried again after this part of the lease; those due within it are extended together. */
const slack = 1 / 8

/** Decides what a worker does next: how much to ask for, what to begin, what to extend, what to give back. */
export class WorkBoard<M extends { readonly bytes: Uint8Array } = PoppedMessage> {
  readonly #options: WorkBoardOptions
  readonly #waiting = new Set<Entry<M>>()
  /** Their handlers are at work. */
  readonly #running = new Set<Entry<M>>()
  #settling = 0
  #bytes = 0
  #isAsking = false
  #isDraining = false
  /** Handlers take so long that what waits would be given back: nothing is to wait. */
  #isSlow = false

  constructor(options: WorkBoardOptions) {
    this.#options = options
  }

  get waiting(): number {
    return this.#waiting.size
  }

  get running(): number {
    return this.#running.size
  }

  /** Everything in hand. */
  get size(): number {
    return this.waiting + this.running + this.#settling
  }

  /** When something is due, on the monotonic clock; undefined when nothing will be. */
  get wakesAt(): number | undefined {
    let earliest: number | undefined
    for (const { dueAt } of this.#waiting) earliest = Math.min(earliest ?? dueAt, dueAt)
    for (const work of this.#running) {
      if (work.state === 'lost') continue
      const extendAt = work.isExtending ? Number.POSITIVE_INFINITY : work.dueAt
      const at = work.isOverdue ? extendAt : Math.min(extendAt, work.leaseEndsAt)
      if (at < (earliest ?? Number.POSITIVE_INFINITY)) earliest = at
    }
    return earliest
  }

  /** @returns undefined while an ask is under way, enough is here, or no more is wanted */
  ask(): WorkAsk | undefined {
    if (this.#isAsking || this.#isDraining) return undefined
    const { concurrency, prefetch, prefetchBytes, mostPerAsk } = this.#options
    const most = this.#isSlow ? 0 : prefetch
    // A few at a time would cost a request for each.
    if (this.waiting > most / 2) return undefined
    const max = Math.min(mostPerAsk, concurrency + most - this.size)
    const maxBytes = prefetchBytes - this.#bytes
    if (max < 1 || maxBytes < 1) return undefined
    this.#isAsking = true
    return { max, maxBytes }
  }

  /** An ask was answered, or failed. */
  answered(messages: readonly M[], { now, leaseMs }: Arrival): void {
    assert(this.#isAsking, 'what is answered was asked')
    this.#isAsking = false
    for (const message of messages) {
      const bytes = message.bytes.length
      this.#bytes += bytes
      this.#waiting.add({
        ...{ message, bytes, leaseMs, state: 'waiting', beganAt: now, isExtending: false },
        ...{ isOverdue: false, leaseEndsAt: now + leaseMs, dueAt: now + leaseMs / 2 },
      })
    }
  }

  /** @returns undefined when all handlers are at work, or nothing waits */
  begin(now: number): Work<M> | undefined {
    if (this.running >= this.#options.concurrency) return undefined
    for (const work of this.#waiting) {
      this.#waiting.delete(work)
      work.state = 'running'
      work.beganAt = now
      this.#running.add(work)
      return work
    }
    return undefined
  }

  /**
   * Its handler is done.
   * @returns whether the message is to be settled: not when it was lost, or is not waited for
   */
  finished(work: Work<M>, now: number): boolean {
    const entry = this.#entry(work)
    if (!this.#running.delete(entry)) return false
    if (now - entry.beganAt < entry.leaseMs / 4) this.#isSlow = false
    if (entry.state === 'lost') {
      this.#drop(entry)
      return false
    }
    entry.state = 'settling'
    this.#settling += 1
    return true
  }

  settled(work: Work<M>): void {
    const entry = this.#entry(work)
    assert(entry.state === 'settling', 'what is settled was to be settled')
    this.#settling -= 1
    this.#drop(entry)
  }

  /** Those whose leases are to be extended now, together. */
  takeExtensions(now: number): Work<M>[] {
    const due = [...this.#running].filter(
      ({ state, isExtending, dueAt, leaseMs }) =>
        state === 'running' && !isExtending && dueAt <= now + leaseMs * slack,
    )
    if (!due.some(({ dueAt }) => dueAt <= now)) return []
    for (const entry of due) entry.isExtending = true
    return due
  }

  /** Hidden for `leaseMs` since `now`. */
  extended(work: Work<M>, { now, leaseMs }: Arrival): void {
    const entry = this.#entry(work)
    entry.isExtending = false
    entry.isOverdue = false
    entry.leaseMs = leaseMs
    entry.leaseEndsAt = now + leaseMs
    entry.dueAt = now + leaseMs / 2
  }

  /** Whether it was extended is not known. */
  notExtended(work: Work<M>, now: number): void {
    const entry = this.#entry(work)
    entry.isExtending = false
    entry.dueAt = now + Math.max(1, entry.leaseMs * slack)
  }

  /** @returns whether it was running until now */
  lose(work: Work<M>): boolean {
    const entry = this.#entry(work)
    if (entry.state !== 'running') return false
    entry.state = 'lost'
    return true
  }

  /** Those at work whose lease has run out by this clock: nobody said so, but they may be with others. Each once. */
  takeOverdue(now: number): Work<M>[] {
    const overdue = [...this.#running].filter(
      ({ state, isOverdue, leaseEndsAt }) =>
        state === 'running' && !isOverdue && leaseEndsAt <= now,
    )
    for (const entry of overdue) entry.isOverdue = true
    return overdue
  }

  /** Those that have waited for too long, to be given back. */
  takeStale(now: number): Work<M>[] {
    const stale = [...this.#waiting].filter(({ dueAt }) => dueAt <= now)
    if (stale.length > 0) this.#isSlow = true
    return this.#takeBack(stale)
  }

  /** No more is asked for. @returns those that wait, to be given back */
  drain(): Work<M>[] {
    this.#isDraining = true
    return this.#takeBack([...this.#waiting])
  }

  /** Handlers are waited for no longer. @returns what they had in hand, to be given back unless it was lost */
  abandon(): Work<M>[] {
    const abandoned = [...this.#running]
    this.#running.clear()
    const held = abandoned.filter(({ state }) => state === 'running')
    for (const entry of abandoned) this.#drop(entry)
    return held
  }

  #takeBack(entries: readonly Entry<M>[]): Work<M>[] {
    for (const entry of entries) {
      this.#waiting.delete(entry)
      this.#drop(entry)
    }
    return [...entries]
  }

  #drop(entry: Entry<M>): void {
    entry.state = 'gone'
    this.#bytes -= entry.bytes
  }

  #entry(work: Work<M>): Entry<M> {
    return work as Entry<M>
  }
}
