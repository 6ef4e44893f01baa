import { deferred, type Deferred } from '@popmq/kit'
import {
  type AttemptOutcome,
  type Checksum,
  type Failure,
  heldKey,
  type LogPosition,
  MqError,
  offset,
  type Offset,
  partitionKey,
  type PartitionKey,
  partitionNumber,
  RecordView,
  type TimeMs,
} from '@popmq/protocol'
import { backOffMs } from './back-off.ts'
import type { DeliveryLog, RecordPlace } from './delivery-log.ts'
import { failedCopy, type FailedAttempt, type Verdict } from './failed-copy.ts'
import type { GroupDispatch } from './group-dispatch.ts'
import { named, unanswered } from './lease.ts'
import type { Settlement } from './lease-book.ts'
import type { LeasePlace } from './pick.ts'

export interface MovingParts {
  readonly crc32: Checksum
  readonly setId: number
  /** The time by which retries are due. */
  readonly dueTime: { readonly nowMs: () => TimeMs }
  readonly log: Pick<DeliveryLog, 'appendCopy' | 'readOne' | 'pinned' | 'until'>
  readonly load: (key: PartitionKey, from: Offset) => Promise<unknown>
  /** Retries held on this set; beyond `mostRetries` failures stay where they are. */
  readonly retriesHeld: () => number
  /** A retry was appended and applied. */
  readonly onRetry: (group: GroupDispatch, number: number) => void
  /** Moved or not: what waited for that can go on. */
  readonly onSettled: (group: GroupDispatch, place: LeasePlace) => void
}

/** A message that failed, and how. */
export interface Move {
  readonly group: GroupDispatch
  readonly place: LeasePlace
  readonly number: number
  /** Undefined: an operator gives it up, and no delivery failed. */
  readonly outcome: AttemptOutcome | undefined
  readonly error?: Failure | undefined
  /** Who had it, where no lease tells. */
  readonly consumer?: string
  /** Undefined: by the group's back-off. */
  readonly delayMs?: number | undefined
  readonly nowMs: TimeMs
}

export interface Moved {
  readonly to: 'retrying' | 'dead'
  readonly end: LogPosition
}

const mostRetries = 1_000_000

/**
 * Moves failed messages: each to its next delivery, or to the dead letters once it has had as many as the policy allows.
 * The copy is one record that names what it takes the place of, so at every moment there is exactly one.
 */
export class Moving {
  readonly #parts: MovingParts
  readonly #record = new RecordView()

  constructor(parts: MovingParts) {
    this.#parts = parts
  }

  /** As `begin`, and carries it out. */
  move(move: Move): Promise<Moved | undefined> {
    return this.begin(move)()
  }

  /**
   * From now on the message is settling; it must not be before. What is returned, to be called once, appends the copy,
   * which counts when `end` is synced and applied.
   * @returns a function that returns undefined when the message cannot be read any more, and throws MqError when the log
   * takes nothing now: then all is as before
   */
  begin(move: Move): () => Promise<Moved | undefined> {
    const done = deferred<boolean>()
    const settlement = move.place.book.settle([move.number], done.promise)
    return () => this.#carryOut(move, settlement, done)
  }

  async #carryOut(
    move: Move,
    settlement: Settlement,
    done: Deferred<boolean>,
  ): Promise<Moved | undefined> {
    const { place, group } = move
    const { log, onRetry, onSettled } = this.#parts
    const refused = (): void => {
      // Of a topic that is gone nothing is in hand any more.
      if (group.isGone(place.key)) settlement.applied()
      else settlement.refused()
      done.resolve(false)
      onSettled(group, place)
    }
    try {
      const moved = await log.pinned(() =>
        this.#copy(move, (end, retry) => {
          log.until(end, () => {
            settlement.applied()
            done.resolve(true)
            if (retry !== undefined) onRetry(group, retry)
            onSettled(group, place)
          })
        }),
      )
      if (moved === undefined) refused()
      return moved
    } catch (error) {
      refused()
      throw error
    }
  }

  /** `appended` is told in the turn in which the copy is: the end of its record, and the number if it is a retry. */
  async #copy(
    move: Move,
    appended: (end: LogPosition, retry: number | undefined) => void,
  ): Promise<Moved | undefined> {
    const { place, number, group } = move
    const located = await this.#locate(place, number)
    if (located === undefined) return undefined
    const { log, crc32, setId, retriesHeld } = this.#parts
    const bytes = await log.readOne(located)
    if (group.isGone(place.key)) return undefined
    const attempts = attemptsOf(move)
    const verdict = this.#verdict(move, attempts)
    const isDead = verdict.to === 'dead'
    if (!isDead && retriesHeld() >= mostRetries)
      throw new MqError('broker_busy', `the broker holds ${mostRetries} retries, as many as it may`)
    // Behind the record of a reset the copy would be of a message that is handed out anew.
    if (group.isResetting(place.key))
      throw new MqError('broker_busy', 'the group is being reset', { retryAfterMs: 100 })
    const { generation } = place
    const failed = {
      settles: number,
      groupId: group.id,
      generation,
      now: move.nowMs,
      attempts,
      verdict,
    }
    const copy = failedCopy({ ...failed, original: this.#record.move(bytes, 0) }, crc32)
    const deadKey = partitionKey(group.group.deadTopicId, partitionNumber(setId))
    const { end, offset: at } = log.appendCopy(copy, isDead ? deadKey : heldKey)
    appended(end, isDead ? undefined : at)
    return { end, to: isDead ? 'dead' : 'retrying' }
  }

  async #locate(place: LeasePlace, number: number): Promise<RecordPlace | undefined> {
    for (;;) {
      const located = place.locate(number)
      if (located === 'gone') return undefined
      if (located !== undefined) return located
      await this.#parts.load(place.key, offset(number))
    }
  }

  #verdict(move: Move, attempts: readonly FailedAttempt[]): Verdict {
    const { group, outcome, delayMs } = move
    const { policy, deadTopicId } = group.group
    const { setId, dueTime } = this.#parts
    const made = attempts.at(-1)?.n ?? 0
    if (outcome === undefined) return { to: 'dead', deadTopicId, setId, isByOperator: true }
    if (outcome === 'rejected' || made >= policy.maxAttempts)
      return { to: 'dead', deadTopicId, setId }
    return { to: 'retry', dueAt: dueTime.nowMs() + (delayMs ?? backOffMs(policy.backoff, made)) }
  }
}

/** The deliveries of this copy that failed, this one last. */
function attemptsOf({ place, number, outcome, error, consumer, nowMs }: Move): FailedAttempt[] {
  const lease = place.book.leaseOf(number)
  if (outcome === undefined) return [...(lease?.earlier ?? [])]
  const told = error === undefined ? {} : { error }
  if (lease === undefined) {
    // Set aside by a member that pulls; or a lease that was lost with a crash.
    const n = place.attemptsBefore(number) + 1
    return [{ n, at: nowMs, heldMs: 0, outcome, ...named(consumer ?? ''), ...told }]
  }
  if (outcome === 'expired') return unanswered(lease, nowMs)
  const { earlier, attempt: n, at } = lease
  const last = earlier.at(-1)
  // Taken away from its consumer, and failed after all: that delivery is told already, as one without an answer.
  if (lease.nonce === 0 && lease.consumer !== '' && last?.n === n)
    return [...earlier.slice(0, -1), { ...last, outcome, ...told }]
  // Given back, and failed after all: that delivery counts again, and when it began is forgotten.
  if (lease.nonce === 0)
    return [
      ...earlier,
      { n: n + 1, at: nowMs, heldMs: 0, outcome, ...named(consumer ?? ''), ...told },
    ]
  const heldMs = Math.max(0, nowMs - at)
  return [...earlier, { n, at, heldMs, outcome, ...named(lease.consumer), ...told }]
}
