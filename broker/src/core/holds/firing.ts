import { assert, type Clock, sleep, type Timer } from '@popmq/kit'
import {
  type Checksum,
  isMqError,
  type LogPosition,
  MqError,
  partitionKey,
  type RecordView,
  type TimeMs,
} from '@popmq/protocol'
import type { Appender } from '../appender.ts'
import type { Topics } from '../topics.ts'
import type { Delay } from './delay-rows.ts'
import type { Delays } from './delays.ts'
import { encodeDueCopy } from './due-copy.ts'
import { HoldChanges, type HoldOutcome } from './hold-changes.ts'
import { SteadyTime } from './steady-time.ts'

export interface FiringParts {
  readonly clock: Clock
  readonly crc32: Checksum
  readonly delays: Pick<Delays, 'due' | 'nextDueAt' | 'get' | 'wasDelivered' | 'follow'>
  readonly appender: Pick<Appender, 'appendCopy' | 'appendControl'>
  readonly topics: Pick<Topics, 'led'>
  /** The newest append time in the log: delays are counted from such times, so that time does not begin before it. */
  readonly lastAppendedAt: TimeMs
  /** Reads a record that a view points at now; the position must stay readable from this very call on. */
  readonly readRecord: (position: LogPosition, bytes: number) => RecordView | Promise<RecordView>
  /** @throws MqError `outcome_unknown` when it will not be told; what was appended may still come to the disk */
  readonly whenSynced: (end: LogPosition) => Promise<void>
  /** Resolves when the views hold everything below `end`, however long that takes; never rejects. */
  readonly whenApplied: (end: LogPosition) => Promise<void>
  /** A message that is due cannot be read, or not be appended: told each time that it is tried. It stays pending. */
  readonly onUnfit: (number: number, error: unknown) => void
  /** Our own bug: the process must stop. */
  readonly onFailed: (error: unknown) => void
}

/** A message that is to be appended, with its record. */
interface Loaded {
  readonly number: number
  readonly record: RecordView
}

/**
 * Makes delayed messages visible when they are due: the leader's part. One timer runs, to the next due time; then
 * messages are read and appended to their partitions in batches, each as a copy that names what it settles. The states
 * of the whole:
 *
 *     stopped ──start──▶ waiting ──due──▶ firing ──nothing more is due──▶ waiting
 *     firing ──append refused──▶ resting (1 s) ──▶ firing
 *     any ──close──▶ closed
 *
 * and of one message, beside what the view knows of it:
 *
 *     pending ──its copy is appended──▶ in flight ──the copy is applied──▶ delivered
 *     pending ──a change of it is appended──▶ changing ──the change is applied──▶ gone, or pending at another time
 *     pending ──cannot be read or does not fit, or its topic is gone──▶ resting (≤ 1 s) ──▶ pending
 *
 * Which of copy and change comes first is decided in one turn of the event loop, so it is never both. Intents (in
 * flight, changing) are set in the turn of the append, and dropped when it is applied; they only withhold.
 */
export class Firing {
  readonly #parts: FiringParts
  readonly #time: SteadyTime
  /** By number: where the copy ends. */
  readonly #inFlight = new Map<number, LogPosition>()
  readonly #resting = new Set<number>()
  readonly #changes: HoldChanges
  readonly #isWithheld = (number: number): boolean =>
    this.#inFlight.has(number) || this.#resting.has(number) || this.#changes.has(number)
  readonly #closing = new AbortController()
  #state: 'stopped' | 'waiting' | 'firing' | 'closed' = 'stopped'
  #timer: Timer | undefined
  #restTimer: Timer | undefined
  #reading: Promise<unknown> = Promise.resolve()

  constructor(parts: FiringParts) {
    this.#parts = parts
    this.#time = new SteadyTime(parts.clock, parts.lastAppendedAt)
    const inFlight = (number: number): LogPosition | undefined => this.#inFlight.get(number)
    this.#changes = new HoldChanges({ ...parts, inFlight, onApplied: () => this.#wait() })
  }

  /** Begins to fire what is due; called once the views hold all that is committed. */
  start(): void {
    assert(this.#state === 'stopped', 'firing starts once')
    this.#state = 'waiting'
    this.#parts.delays.follow(() => this.#wait())
    this.#wait()
  }

  /** Appends no more. Resolves when nothing is being read. */
  async close(): Promise<void> {
    this.#state = 'closed'
    this.#timer?.cancel()
    this.#restTimer?.cancel()
    this.#closing.abort()
    await this.#reading
  }

  /**
   * Lets go of a delayed message for good. Durable when answered.
   *
   *     done        it was pending, and is never delivered
   *     delivered   it is visible, or was: known of those in flight and of the newest that the view remembers
   *     unknown     there is none: never was, cancelled, gone with its topic, or delivered longer ago than is remembered
   *
   * @throws MqError `outcome_unknown`, and what appending throws: then nothing was done
   */
  cancel(number: number): Promise<HoldOutcome> {
    return this.#changes.make({ number, dueAt: undefined })
  }

  /** Makes a delayed message due at another time, as `cancel` answers. A time in the past: it is delivered at once. */
  move(number: number, dueAt: TimeMs): Promise<HoldOutcome> {
    return this.#changes.make({ number, dueAt })
  }

  /** Sets the timer anew, to what is due first. */
  #wait(): void {
    if (this.#state !== 'waiting') return
    this.#timer?.cancel()
    const dueAt = this.#parts.delays.nextDueAt(this.#isWithheld)
    if (dueAt === undefined) return
    // No longer than that, so that a wall clock that is set meanwhile is noticed.
    const delayMs = Math.min(this.#time.msUntil(dueAt), longestWaitMs)
    this.#timer = this.#parts.clock.after(delayMs, () => this.#begin())
  }

  #begin(): void {
    if (this.#state !== 'waiting') return
    this.#state = 'firing'
    this.#fireAll().catch(this.#parts.onFailed)
  }

  async #fireAll(): Promise<void> {
    while (this.#state === 'firing') {
      const outcome = await this.#fireBatch()
      if (outcome === 'nothing') break
      if (outcome === 'refused') await sleep(this.#parts.clock, restMs, this.#closing.signal)
    }
    if (this.#state !== 'firing') return
    this.#state = 'waiting'
    this.#wait()
  }

  /** Fires what is due, up to the bounds of a batch, and waits until that is applied. */
  async #fireBatch(): Promise<'fired' | 'refused' | 'nothing'> {
    const batch = this.#nextBatch()
    if (batch.length === 0) return 'nothing'
    const loaded = await this.#load(batch)
    if (this.#state !== 'firing') return 'nothing'
    const isRefused = !this.#append(loaded)
    const ends = [...this.#inFlight.values()]
    if (ends.length > 0) {
      await this.#parts.whenApplied(Math.max(...ends) as LogPosition)
      this.#inFlight.clear()
    }
    // Once something has gone through there may be room again.
    return isRefused && ends.length === 0 ? 'refused' : 'fired'
  }

  #nextBatch(): Delay[] {
    const due = this.#parts.delays.due({
      nowMs: this.#time.now(),
      most: mostPerBatch,
      isWithheld: this.#isWithheld,
    })
    let bytes = 0
    const end = due.findIndex((delay, index) => {
      bytes += delay.bytes
      return index > 0 && bytes > mostBatchBytes
    })
    return end === -1 ? due : due.slice(0, end)
  }

  /** Every read begins in this turn, in which the positions were looked up. */
  async #load(batch: readonly Delay[]): Promise<Loaded[]> {
    const reads = batch.map(async ({ number, position, bytes }): Promise<Loaded> => {
      return { number, record: this.#checked(await this.#parts.readRecord(position, bytes)) }
    })
    const reading = Promise.allSettled(reads)
    this.#reading = reading
    const results = await reading
    const loaded: Loaded[] = []
    for (const [index, result] of results.entries()) {
      if (result.status === 'fulfilled') loaded.push(result.value)
      else this.#unfit(batch[index]?.number ?? 0, result.reason)
    }
    return loaded
  }

  /** The copy gets a checksum of its own: damage must not hide behind it. */
  #checked(record: RecordView): RecordView {
    if (record.crcHolds(this.#parts.crc32) && record.foldHolds()) return record
    throw new MqError('damaged_log', `the delayed message at ${record.position} is damaged`)
  }

  /** In one turn: whatever was cancelled or moved while the records were read is left out. @returns whether all went in */
  #append(loaded: readonly Loaded[]): boolean {
    const nowMs = this.#time.now()
    for (const { number, record } of loaded) {
      const delay = this.#parts.delays.get(number)
      if (delay === undefined || delay.dueAt > nowMs || this.#changes.has(number)) continue
      if (this.#parts.topics.led(delay.topicId, delay.partition) === undefined) this.#rest(number)
      else if (!this.#appendCopy(delay, record)) return false
    }
    return true
  }

  #appendCopy({ number, topicId, partition, dueAt }: Delay, record: RecordView): boolean {
    const { appender, crc32 } = this.#parts
    assert(record.offset === number, 'a delayed message is read from where it lies')
    const bytes = encodeDueCopy(record, { at: this.#time.now(), crc32 })
    try {
      const { end } = appender.appendCopy(bytes, partitionKey(topicId, partition), dueAt)
      this.#inFlight.set(number, end)
      return true
    } catch (error) {
      if (!isMqError(error)) throw error
      // It alone will not go in: the others may.
      if (error.name !== 'message_too_large') return false
      this.#unfit(number, error)
      return true
    }
  }

  #unfit(number: number, error: unknown): void {
    this.#rest(number)
    this.#parts.onUnfit(number, error)
  }

  /** Leaves one message alone for a while, a second at most, so that it holds up no other. */
  #rest(number: number): void {
    this.#resting.add(number)
    if (this.#restTimer !== undefined || this.#state === 'closed') return
    this.#restTimer = this.#parts.clock.after(restMs, () => {
      this.#restTimer = undefined
      this.#resting.clear()
      this.#wait()
    })
  }
}

const mostPerBatch = 1_000
const mostBatchBytes = 4 * 1_048_576
const restMs = 1_000
const longestWaitMs = 10_000
