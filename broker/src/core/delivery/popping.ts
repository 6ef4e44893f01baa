import { type Clock, present, type Random, sleep } from '@popmq/kit'
import {
  type GroupId,
  type LogPosition,
  type Offset,
  offset,
  type PartitionKey,
  partitionOfKey,
  type PoppedRun,
  type PopReason,
  type SettledLease,
  topicOfKey,
} from '@popmq/protocol'
import type { DeliveryLog } from './delivery-log.ts'
import type { GroupDispatch, Wanted } from './group-dispatch.ts'
import type { LeaseToken } from './lease-token.ts'
import { type Lease, unanswered } from './lease.ts'
import { encodeLeased, type LeasedRecord, type LeasedRun } from './leased-record.ts'
import { type LeasePlace, type Picked, Room } from './pick.ts'

export interface PoppingParts {
  readonly clock: Clock
  readonly random: Random
  readonly log: Pick<DeliveryLog, 'appendControl' | 'read' | 'pinned' | 'until'>
  /** Loads the entries of a partition from an offset on. */
  readonly load: (key: PartitionKey, from: Offset) => Promise<unknown>
  readonly sign: (token: LeaseToken) => Uint8Array
  /** A lease is over at this time unless its messages are settled before. */
  readonly expireAt: (lease: GrantedLease) => void
}

/** Messages that share a lease, for its end. */
export interface GrantedLease {
  readonly groupId: GroupId
  readonly place: LeasePlace
  readonly numbers: readonly number[]
  readonly lease: Lease
}

export interface PopAsked extends Wanted {
  readonly max: number
  readonly maxBytes: number
  readonly invisibleMs: number
  readonly consumer: string
}

export interface Popped {
  readonly runs: readonly PoppedRun[]
  /** The records of the runs, in their order. */
  readonly slices: readonly Uint8Array[]
  /** What gives them back. */
  readonly leases: readonly SettledLease[]
  readonly reason?: PopReason
}

const none: Lease['earlier'] = Object.freeze([])
const nothing: Popped = { runs: [], slices: [], leases: [] }

/** Hands out messages: picks them, says so in the log without waiting for it, and reads them. */
export class Popping {
  readonly #parts: PoppingParts

  constructor(parts: PoppingParts) {
    this.#parts = parts
  }

  /**
   * What can be handed out now; nothing is waited for but entries and records on disk.
   * @throws MqError when the log takes nothing now: then nothing is handed out
   */
  pop(group: GroupDispatch, asked: PopAsked): Promise<Popped> {
    return this.#parts.log.pinned(() => this.#pop(group, asked))
  }

  async #pop(group: GroupDispatch, asked: PopAsked): Promise<Popped> {
    for (;;) {
      const { left, reason } = group.roomOf(asked.consumer)
      if (reason !== undefined) return { ...nothing, reason }
      const room = new Room({ max: Math.min(asked.max, left), maxBytes: asked.maxBytes })
      const missing = group.pick(room, asked)
      if (room.picked.length > 0) return this.#handOut(group, room.picked, asked)
      this.#tellPassed(group)
      if (missing !== undefined) await this.#parts.load(missing.key, offset(missing.from))
      else if (group.isReady(asked)) await sleep(this.#parts.clock, 0)
      else return nothing
    }
  }

  async #handOut(
    group: GroupDispatch,
    picked: readonly Picked[],
    asked: PopAsked,
  ): Promise<Popped> {
    const { log, sign, clock, random } = this.#parts
    const batches = batched(picked)
    const at = clock.now()
    const head = { nonce: newNonce(random), at, until: at + asked.invisibleMs }
    this.#lease(group, batches, { ...head, consumer: asked.consumer })
    const runs = batches.map(({ place, attempt, all }): PoppedRun => {
      const { key, generation } = place
      const { nonce, until } = head
      return {
        topicId: topicOfKey(key),
        partition: partitionOfKey(key),
        lease: sign({ groupId: group.id, key, generation, nonce, attempt, until }),
        attempt,
        count: all.length,
        bytes: all.reduce((sum, { bytes }) => sum + bytes, 0),
        until,
      }
    })
    const leases = runs.map(({ lease }, index) => {
      return { lease, numbers: (batches[index]?.all ?? []).map(({ number }) => number) }
    })
    return { runs, leases, slices: await log.read(batches.flatMap(({ all }) => all)) }
  }

  /** Says it in the log, without waiting for it, and holds to it from now on. */
  #lease(group: GroupDispatch, batches: readonly Batch[], head: LeaseHead): void {
    const { log, expireAt } = this.#parts
    const runs = batches.map(({ place, attempt, all }, index): LeasedRun => {
      const { key, generation } = place
      const numbers = all.map(({ number }) => number).toSorted((a, b) => a - b)
      // The last run of a place tells how far it came: what an earlier one leaves out may be in a later one.
      const isLast = !batches.some((other, at) => at > index && other.place === place)
      return { key, generation, attempt, next: offset(isLast ? place.cursor : 0), numbers }
    })
    const end = this.#append(group, { groupId: group.id, ...head, runs }, batches)
    const drops = runs.flatMap(({ numbers, attempt }, index) => {
      const { place } = present(batches[index], 'a run was made of each batch')
      return leasesOf(place, numbers, { ...head, attempt }).map((granted) => {
        expireAt({ groupId: group.id, place, ...granted })
        return place.book.grant(granted.numbers, granted.lease)
      })
    })
    log.until(end, () => {
      for (const drop of drops) drop()
    })
  }

  #append(group: GroupDispatch, record: LeasedRecord, batches: readonly Batch[]): LogPosition {
    try {
      const { runs } = record
      const passed = group.passed().filter((place) => !batches.some((b) => b.place === place))
      const body = encodeLeased({ ...record, runs: [...runs, ...passed.map(passedRun)] })
      const end = this.#parts.log.appendControl({ kind: 'leased', body }, { isPatient: true })
      for (const place of passed) place.told()
      return end
    } catch (error) {
      // The log takes nothing now: what was picked is there for the next.
      for (const { place, all } of batches) {
        place.putBack(all.map(({ number }) => number))
        group.stillReady(place.key)
      }
      throw error
    }
  }

  /** What a filter passes by is told even when nothing is handed out. */
  #tellPassed(group: GroupDispatch): void {
    const passed = group.passed()
    if (passed.length === 0) return
    const at = this.#parts.clock.now()
    const head = { groupId: group.id, nonce: 0, at, until: at, consumer: '' }
    const body = encodeLeased({ ...head, runs: passed.map(passedRun) })
    this.#parts.log.appendControl({ kind: 'leased', body }, { isPatient: true })
    for (const place of passed) place.told()
  }
}

type LeaseHead = Omit<Lease, 'attempt' | 'earlier'>

/** One lease for those that are handed out first; for the others each its own, with its earlier deliveries. */
function leasesOf(
  { book }: LeasePlace,
  numbers: readonly number[],
  head: Omit<Lease, 'earlier'>,
): { readonly numbers: readonly number[]; readonly lease: Lease }[] {
  const fresh: number[] = []
  const again: { readonly numbers: readonly number[]; readonly lease: Lease }[] = []
  for (const number of numbers) {
    const before = book.leaseOf(number)
    if (before === undefined) {
      fresh.push(number)
      continue
    }
    const earlier = before.nonce === 0 ? before.earlier : unanswered(before, head.at)
    again.push({ numbers: [number], lease: { ...head, earlier } })
  }
  return fresh.length === 0
    ? again
    : [{ numbers: fresh, lease: { ...head, earlier: none } }, ...again]
}

function passedRun({ key, generation, cursor }: LeasePlace): LeasedRun {
  return { key, generation, attempt: 0, next: offset(cursor), numbers: [] }
}

interface Batch {
  readonly place: LeasePlace
  readonly attempt: number
  readonly all: Picked[]
}

/** Messages of one place and one attempt, in the order of their picks. */
function batched(picked: readonly Picked[]): Batch[] {
  const batches: Batch[] = []
  for (const each of picked) {
    const last = batches.at(-1)
    if (last !== undefined && last.place === each.place && last.attempt === each.attempt)
      last.all.push(each)
    else batches.push({ place: each.place, attempt: each.attempt, all: [each] })
  }
  return batches
}

/** 1..2^48−1. */
export function newNonce(random: Random): number {
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = random.fill(new Uint8Array(6))
  return Math.max(1, a + b * 2 ** 8 + c * 2 ** 16 + d * 2 ** 24 + e * 2 ** 32 + f * 2 ** 40)
}
