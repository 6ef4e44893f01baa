import { assert } from '@popmq/kit'
import { MqError, partitionKey, type PartitionKey } from '@popmq/protocol'
import type { CommitEntry } from './held-partition.ts'

/** Why progress of a partition was not committed. */
export interface CommitRefusal {
  readonly entry: CommitEntry
  readonly error: MqError
}

/** Told once what became of all its entries. @param refusals of those that are not committed */
type Settled = (refusals: readonly CommitRefusal[]) => void

/** Somebody who waits for several partitions. */
interface Call {
  left: number
  readonly refusals: CommitRefusal[]
  readonly settled: Settled
}

interface Waiting {
  entry: CommitEntry
  readonly calls: { readonly call: Call; readonly entry: CommitEntry }[]
}

type Waitings = Map<PartitionKey, Waiting>

/** Calls that may wait for an answer. */
const mostCalls = 10_000
/** A request has at most 65,536 items of CBOR: nine a partition. */
const mostPerRequest = 5_000

/**
 * Collects commits: while a request is under way all others wait, and the highest offset of each partition goes into the
 * next one, for all who asked for it or less. A partition waits under its newest grant only.
 */
export class CommitQueue {
  #waiting: Waitings = new Map()
  #underWay: Waitings = new Map()
  #calls = 0

  /** Whether nothing waits and nothing is under way. */
  get isIdle(): boolean {
    return this.#waiting.size === 0 && this.#underWay.size === 0
  }

  /** Adds what is to be committed; `settled` is called when all of it is answered. */
  add(entries: readonly CommitEntry[], settled: Settled): void {
    if (entries.length === 0) return settled([])
    if (this.#calls >= mostCalls) {
      const error = new MqError('too_many_requests', `${mostCalls} commits wait for an answer`)
      return settled(entries.map((entry) => ({ entry, error })))
    }
    this.#calls += 1
    const call: Call = { left: entries.length, refusals: [], settled }
    for (const entry of entries) this.#add(call, entry)
  }

  /** The next request; empty while one is under way, and when there is nothing to commit. */
  next(): CommitEntry[] {
    if (this.#underWay.size > 0) return []
    for (const [key, waiting] of this.#waiting) {
      if (this.#underWay.size >= mostPerRequest) break
      this.#waiting.delete(key)
      this.#underWay.set(key, waiting)
    }
    return [...this.#underWay.values()].map(({ entry }) => entry)
  }

  /** The request under way was answered. @returns what is committed now */
  answered(refusals: readonly CommitRefusal[]): CommitEntry[] {
    const errors = new Map(refusals.map(({ entry, error }) => [keyOf(entry), error]))
    const committed: CommitEntry[] = []
    const answered = this.#underWay
    this.#underWay = new Map()
    for (const [key, waiting] of answered) {
      const error = errors.get(key)
      if (error === undefined) committed.push(waiting.entry)
      this.#settle(waiting, error)
    }
    return committed
  }

  /** The request under way failed as a whole. */
  failed(error: MqError): void {
    const failed = this.#underWay
    this.#underWay = new Map()
    for (const waiting of failed.values()) this.#settle(waiting, error)
  }

  /** Nothing that waits may be committed any more. */
  refuseWaiting(error: MqError): void {
    const refused = this.#waiting
    this.#waiting = new Map()
    for (const waiting of refused.values()) this.#settle(waiting, error)
  }

  #add(call: Call, entry: CommitEntry): void {
    const key = keyOf(entry)
    const waiting = this.#waiting.get(key)
    if (waiting !== undefined && waiting.entry.epoch > entry.epoch) {
      return this.#settleOne(call, entry, replaced())
    }
    if (waiting === undefined || waiting.entry.epoch < entry.epoch) {
      if (waiting !== undefined) this.#settle(waiting, replaced())
      const highest = this.#higherUnderWay(entry) ?? entry
      this.#waiting.set(key, { entry: highest, calls: [{ call, entry }] })
      return
    }
    if (entry.offset > waiting.entry.offset) waiting.entry = entry
    waiting.calls.push({ call, entry })
  }

  /** Asked for after a higher offset: it is not to go back. */
  #higherUnderWay(entry: CommitEntry): CommitEntry | undefined {
    const underWay = this.#underWay.get(keyOf(entry))?.entry
    const isHigher = underWay?.epoch === entry.epoch && underWay.offset > entry.offset
    return isHigher ? underWay : undefined
  }

  #settle({ calls }: Waiting, error: MqError | undefined): void {
    for (const { call, entry } of calls) this.#settleOne(call, entry, error)
  }

  #settleOne(call: Call, entry: CommitEntry, error: MqError | undefined): void {
    assert(call.left > 0, 'an entry is settled once')
    call.left -= 1
    if (error !== undefined) call.refusals.push({ entry, error })
    if (call.left > 0) return
    this.#calls -= 1
    call.settled(call.refusals)
  }
}

function keyOf({ topicId, partition }: CommitEntry): PartitionKey {
  return partitionKey(topicId, partition)
}

function replaced(): MqError {
  return new MqError('grant_fenced', 'the partition is held under a newer grant')
}
