import { type Offset, offset, type PartitionKey } from '@popmq/protocol'
import { type ConsumeQueues, type EntryRange, EntryView } from '../consume-queue/index.ts'
import type { RecordPlace } from './delivery-log.ts'
import { type CountHeld, LeaseBook } from './lease-book.ts'
import { type LeasePlace, nextAttempt, type Room } from './pick.ts'
import type { PoppedPartition } from './popped-partition.ts'

export interface PartitionDispatchParts {
  readonly key: PartitionKey
  readonly queues: Pick<ConsumeQueues, 'bounds' | 'sliceNow' | 'kept'>
  /** What committed records tell; undefined while they tell nothing. */
  readonly view: () => PoppedPartition | undefined
  /** Where the group began; undefined: at the first message. */
  readonly start: Offset | undefined
  readonly count: CountHeld
}

/** Entries looked at in one step: a filter that matches nothing must not hold up the others. */
const stepEntries = 4_096

/** What the leader hands out of one partition to one group: free messages first, then those never handed out. */
export class PartitionDispatch implements LeasePlace {
  readonly key: PartitionKey
  readonly book: LeaseBook
  readonly #parts: PartitionDispatchParts
  readonly #entry = new EntryView()
  #found: PoppedPartition | undefined
  #cursor: Offset
  #told: Offset
  /** A reset is in flight: nothing is handed out meanwhile. */
  isResetting = false

  constructor(parts: PartitionDispatchParts) {
    this.#parts = parts
    this.key = parts.key
    this.#cursor = this.#begin()
    this.#told = this.#cursor
    this.book = new LeaseBook({
      applied: (number) => this.#view()?.open.get(number as Offset),
      open: () => this.#view()?.open.keys() ?? [],
      isSettled: (number) => this.#isSettled(number as Offset),
      count: parts.count,
    })
    for (const number of this.#view()?.open.keys() ?? []) this.book.honour(number)
  }

  get generation(): number {
    return this.#view()?.generation ?? 0
  }

  /** The first offset that was never handed out, those in flight counted as handed out. */
  get cursor(): Offset {
    return this.#cursor
  }

  /** Whether there is something to hand out, as far as memory tells: a filter may still pass it by. */
  get isReady(): boolean {
    if (this.isResetting) return false
    for (const _number of this.book.takeable()) return true
    return this.hasFresh && !this.book.isSettling(this.#cursor)
  }

  /** Whether there is, or was, a message with this offset. */
  has(number: number): boolean {
    return number < this.#parts.queues.bounds(this.key).high
  }

  /** Whether there are messages that were never handed out. */
  get hasFresh(): boolean {
    return this.#cursor < this.#parts.queues.bounds(this.key).high
  }

  /** Takes as much as there is room for. @returns where entries must be loaded before it can go on */
  pick(room: Room, wants: ReadonlySet<number> | undefined): Offset | undefined {
    if (this.isResetting) return undefined
    return this.#pickFree(room) ?? this.#pickFresh(room, wants)
  }

  putBack(numbers: readonly number[]): void {
    for (const number of numbers)
      if (this.book.leaseOf(number) === undefined && number < this.#cursor)
        this.#cursor = offset(number)
  }

  /** Whether a filter has passed messages by that no record tells of. */
  get hasPassed(): boolean {
    return this.#cursor > this.#told
  }

  /** A record tells of all below the cursor. */
  told(): void {
    this.#told = this.#cursor
  }

  /** A reset was applied: the group goes on where the view says. */
  wasReset(): void {
    this.isResetting = false
    this.#cursor = this.#view()?.next ?? this.#cursor
    this.#told = this.#cursor
  }

  /** A message of a partition is its first copy. */
  attemptsBefore(): number {
    return 0
  }

  expiriesBefore(): number {
    return 0
  }

  locate(at: number): RecordPlace | 'gone' | undefined {
    const number = offset(at)
    const { queues } = this.#parts
    const { low, high } = queues.bounds(this.key)
    if (number < low) {
      const kept = queues.kept(this.key, number)
      return kept === undefined ? 'gone' : { position: kept.position, bytes: kept.size }
    }
    if (number >= high) return 'gone'
    const entries = queues.sliceNow(this.key, number, { maxEntries: 1 })
    if (entries === undefined) return undefined
    const { position, size } = entries.entry(0, this.#entry)
    return { position, bytes: size }
  }

  /** What committed records tell, looked up once: each message of a pop asks for it several times. */
  #view(): PoppedPartition | undefined {
    if (this.#found === undefined || this.#found.isForgotten) this.#found = this.#parts.view()
    return this.#found
  }

  #pickFree(room: Room): Offset | undefined {
    for (const number of this.book.takeable()) {
      if (room.isFull) return undefined
      const located = this.locate(number)
      if (located === undefined) return offset(number)
      if (located === 'gone') {
        this.book.free.delete(number)
        continue
      }
      const attempt = nextAttempt(this.book.leaseOf(number))
      if (!room.take({ place: this, number, ...located, attempt })) return undefined
    }
    return undefined
  }

  #pickFresh(room: Room, wants: ReadonlySet<number> | undefined): Offset | undefined {
    const { queues } = this.#parts
    const { low, high } = queues.bounds(this.key)
    if (this.#cursor < low) this.#cursor = low
    let left = stepEntries
    while (left > 0 && !room.isFull && this.#cursor < high) {
      const maxEntries = wants === undefined ? Math.min(room.left, left) : left
      const entries = queues.sliceNow(this.key, this.#cursor, { maxEntries })
      if (entries === undefined) return this.#cursor
      left -= entries.count
      if (!this.#takeFresh(entries, room, wants)) return undefined
    }
    return undefined
  }

  /** @returns whether the cursor has passed all of them */
  #takeFresh(entries: EntryRange, room: Room, wants: ReadonlySet<number> | undefined): boolean {
    const settled = this.#view()?.ahead
    for (let index = 0; index < entries.count; index += 1) {
      const number = offset(entries.from + index)
      // Its lease was lost with a crash. Should its settlement be refused, it must not have been passed by.
      if (this.book.isSettling(number)) return false
      const { position, size, tagHash } = entries.entry(index, this.#entry)
      const isWanted = wants === undefined || wants.has(tagHash)
      const isOpen = isWanted && settled?.has(number) !== true
      if (isOpen && !room.take({ place: this, number, position, bytes: size, attempt: 1 }))
        return false
      this.#cursor = offset(number + 1)
    }
    return true
  }

  #begin(): Offset {
    const { start, queues } = this.#parts
    const { low, high } = queues.bounds(this.key)
    const applied = this.#view()
    // A reset says where to go on; before any, the group's start does.
    const from = applied !== undefined && applied.generation > 0 ? 0 : (start ?? 0)
    return offset(Math.min(Math.max(applied?.next ?? 0, from, low), high))
  }

  #isSettled(number: Offset): boolean {
    const view = this.#view()
    const next = view?.next ?? 0
    return number < next ? true : (view?.ahead.has(number) ?? false)
  }
}
