import { assert } from '@popmq/kit'
import type { GroupId, Offset, PartitionKey } from '@popmq/protocol'
import { earlierThan, type Lease } from './lease.ts'
import type { LeasedRecord, LeasedRun } from './leased-record.ts'
import type { ResetRecord } from './reset-record.ts'

/**
 * What a group has done with one partition, as far as committed records tell:
 *
 *     0 ─────────────── low ─────────────── next ─────────────── high
 *          settled, except those in `open`     never handed out, except those in `ahead`, which are settled
 *
 * A message goes: never handed out ──leased──▶ open ──leased again, given back──▶ open ──settled, copied──▶ settled;
 * never handed out ──passed by: filtered, expired, reset──▶ settled. What is open is remembered, not what is settled: one
 * message held for an hour costs one entry, whatever flows past it. A pulled partition only has `ahead`: what was set
 * aside, and its `next` stays where the horizon is.
 *
 * Memory: about 50 bytes for each open message, beside the lease that a run shares.
 */
export class PoppedPartition {
  readonly groupId: GroupId
  readonly key: PartitionKey
  /** Grows with each reset. */
  generation = 0
  next = 0 as Offset
  /** Ascending, for a first delivery takes the next offset. */
  readonly open = new Map<Offset, Lease>()
  readonly ahead = new Set<Offset>()
  /** How many offsets below `next` were passed by. */
  skipped = 0
  /** Its group or its topic is gone, and it with them. */
  isForgotten = false

  constructor(groupId: GroupId, key: PartitionKey) {
    this.groupId = groupId
    this.key = key
  }

  /** Takes in what was handed out, extended or given back. */
  lease(run: LeasedRun, record: LeasedRecord): void {
    if (run.generation !== this.generation) return
    const { nonce, at, until, consumer } = record
    const { attempt } = run
    let fresh = 0
    // Messages with the same earlier deliveries share their lease.
    let shared: Lease | undefined
    for (const number of run.numbers as readonly Offset[]) {
      const before = this.open.get(number)
      if (before === undefined && !this.#isFresh(number)) continue
      if (before === undefined) fresh += 1
      const earlier = before === undefined ? none : earlierThan(before, { nonce, at, attempt })
      if (shared === undefined || shared.earlier !== earlier)
        shared = { nonce, at, until, attempt, consumer, earlier }
      this.open.set(number, shared)
    }
    this.#pass(run.next, fresh)
  }

  /** The message is done with, or a copy has taken its place. @returns whether it was in hand */
  settle(number: Offset): boolean {
    if (this.open.delete(number)) return true
    // Its lease was lost with a crash: it was never handed out, as far as the log tells.
    if (number >= this.next) this.ahead.add(number)
    return false
  }

  /** Offsets below are let go: what nobody has in hand is passed by. */
  horizon(low: Offset): void {
    if (low > this.next) this.#pass(low, 0)
    for (const number of this.ahead) if (number < low) this.ahead.delete(number)
  }

  reset({ generation, to, skippedBelow }: ResetRecord): void {
    if (generation <= this.generation) return
    this.generation = generation
    for (const number of this.open.keys()) if (number >= to) this.open.delete(number)
    if (to >= this.next) this.#pass(to, 0)
    else this.skipped = skippedBelow
    this.ahead.clear()
    this.next = to
  }

  #isFresh(number: Offset): boolean {
    return number >= this.next && !this.ahead.has(number)
  }

  /** Moves `next` up. What lies between and is neither handed out now nor settled already is passed by. */
  #pass(next: Offset, fresh: number): void {
    if (next <= this.next) {
      assert(fresh === 0, 'what is handed out first lies behind all that was')
      return
    }
    let settled = 0
    for (const number of this.ahead) {
      if (number >= next) continue
      settled += 1
      this.ahead.delete(number)
    }
    this.skipped += next - this.next - fresh - settled
    this.next = next
  }
}

const none: readonly never[] = Object.freeze([])
