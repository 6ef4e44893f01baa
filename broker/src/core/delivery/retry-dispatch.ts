import {
  type GroupId,
  type PartitionKey,
  type TimeMs,
  type TopicId,
  topicOfKey,
} from '@popmq/protocol'
import { type CountHeld, LeaseBook } from './lease-book.ts'
import { type LeasePlace, nextAttempt, type Room } from './pick.ts'
import type { Retries, Retry } from './retries.ts'

export interface RetryDispatchParts {
  readonly groupId: GroupId
  readonly retries: Pick<Retries, 'get' | 'of'>
  readonly generation: (key: PartitionKey) => number
  readonly count: CountHeld
  /** A reset of the partition is in flight: nothing of it is handed out meanwhile. */
  readonly isResetting: (key: PartitionKey) => boolean
}

/** What the leader hands out of the retries of one group: those that are due, the first due in front. */
export class RetryDispatch {
  readonly book: LeaseBook
  readonly #parts: RetryDispatchParts
  readonly #places = new Map<PartitionKey, LeasePlace>()

  constructor(parts: RetryDispatchParts) {
    this.#parts = parts
    this.book = new LeaseBook({
      applied: (number) => this.#own(number)?.lease,
      open: () => leasedNumbers(parts.retries.of(parts.groupId)),
      isSettled: (number) => this.#own(number) === undefined,
      count: parts.count,
    })
    for (const { number, lease } of parts.retries.of(parts.groupId))
      if (lease !== undefined) this.book.honour(number)
  }

  /** Whether the number can be that of a retry of the partition: one that is there, or is settled. */
  mayBe(number: number, key: PartitionKey): boolean {
    const retry = this.#parts.retries.get(number)
    return retry === undefined || (retry.groupId === this.#parts.groupId && retry.key === key)
  }

  all(): Iterable<Retry> {
    return this.#parts.retries.of(this.#parts.groupId)
  }

  /** Whether one of these topics has a retry that is due. */
  isReady(topics: ReadonlySet<TopicId>): boolean {
    for (const number of this.book.takeable()) {
      const retry = this.#parts.retries.get(number)
      if (retry === undefined || this.#parts.isResetting(retry.key)) continue
      if (topics.has(topicOfKey(retry.key))) return true
    }
    return false
  }

  /** The time of a retry has come. @returns the topic that it belongs to, if it can be handed out now */
  due(number: number, nowMs: TimeMs): TopicId | undefined {
    const retry = this.#parts.retries.get(number)
    if (retry === undefined || retry.dueAt > nowMs || this.book.leaseOf(number) !== undefined)
      return undefined
    this.book.free.add(number)
    return topicOfKey(retry.key)
  }

  /** Its time was put off, or nobody has it any more. */
  notDue(number: number): void {
    if (this.book.leaseOf(number) === undefined) this.book.free.delete(number)
  }

  /** Takes up to `most` of those that are due. */
  pick(room: Room, topics: ReadonlySet<TopicId>, most: number): void {
    let left = most
    for (const number of this.book.takeable()) {
      if (left <= 0 || room.isFull) return
      const retry = this.#parts.retries.get(number)
      if (retry === undefined) this.book.free.delete(number)
      if (retry === undefined || !topics.has(topicOfKey(retry.key))) continue
      if (room.hasHeld(number) || this.#parts.isResetting(retry.key)) continue
      const { position, bytes } = retry
      const attempt = nextAttempt(this.book.leaseOf(number), retry.attempts)
      if (!room.take({ place: this.placeOf(retry), number, position, bytes, attempt })) return
      left -= 1
    }
  }

  /** A number that a client tells may be that of another group's retry. */
  #own(number: number): Retry | undefined {
    const retry = this.#parts.retries.get(number)
    return retry?.groupId === this.#parts.groupId ? retry : undefined
  }

  placeOf({ key }: Pick<Retry, 'key'>): LeasePlace {
    const there = this.#places.get(key)
    if (there !== undefined) return there
    const { generation, retries } = this.#parts
    const { book } = this
    const place: LeasePlace = {
      key,
      book,
      cursor: 0,
      locate: (number) => retries.get(number) ?? 'gone',
      attemptsBefore: (number) => retries.get(number)?.attempts ?? 0,
      expiriesBefore: (number) => retries.get(number)?.expiries ?? 0,
      // They stayed free.
      putBack: () => undefined,
      get generation() {
        return generation(key)
      },
    }
    this.#places.set(key, place)
    return place
  }
}

function* leasedNumbers(retries: Iterable<Retry>): Generator<number> {
  for (const { number, lease } of retries) if (lease !== undefined) yield number
}
