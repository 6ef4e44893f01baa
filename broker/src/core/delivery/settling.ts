import { type Clock, deferred } from '@popmq/kit'
import {
  type Failure,
  isHeldNumber,
  isMqError,
  type LogPosition,
  MqError,
  offset,
  type PartitionKey,
  type SettledLease,
  type SettleResult,
} from '@popmq/protocol'
import { CurrentHandles, type Results } from './current-handles.ts'
import type { DeliveryLog } from './delivery-log.ts'
import type { GroupDispatch } from './group-dispatch.ts'
import type { LeaseToken } from './lease-token.ts'
import { givenBack, type Lease, unanswered } from './lease.ts'
import { byLease, type HeldPlace } from './held-place.ts'
import { encodeLeased, type LeasedRun } from './leased-record.ts'
import type { Move, Moving } from './moving.ts'
import type { PartitionDispatch } from './partition-dispatch.ts'
import type { LeasePlace } from './pick.ts'
import type { GrantedLease } from './popping.ts'
import { encodeSettled } from './settled-record.ts'

export interface SettlingParts {
  readonly clock: Clock
  readonly log: Pick<DeliveryLog, 'appendControl' | 'whenDone' | 'until'>
  readonly read: (lease: Uint8Array) => LeaseToken | undefined
  /** Where the partition is led: another broker would know what became of its messages. */
  readonly whereLed: (key: PartitionKey) => 'here' | 'elsewhere' | 'nowhere'
  readonly moving: Pick<Moving, 'begin'>
  readonly expireAt: (lease: GrantedLease) => void
}

/** A nack: what went wrong, and when to deliver again. */
export interface Nack {
  readonly error: Failure | undefined
  /** Undefined: by the group's back-off. */
  readonly delayMs: number | undefined
  /** False: give the message up at once. */
  readonly retriable: boolean
}

/** A handle that can be acted on, and where its result goes. */
interface Named extends HeldPlace {
  readonly put: (result: SettleResult) => void
}

/** Settles messages by their handles. Each handle has its own answer; a bad one changes nothing for the others. */
export class Settling {
  readonly #parts: SettlingParts

  constructor(parts: SettlingParts) {
    this.#parts = parts
  }

  /** Durable when it resolves. @throws MqError when the log takes nothing now: then nothing was done; `outcome_unknown` */
  async ack(group: GroupDispatch, leases: readonly SettledLease[]): Promise<Results> {
    const { log } = this.#parts
    if (group.hasResets) await group.whenReset()
    const judged = this.#judge(group, leases)
    const { results, current } = judged
    if (current.size > 0) {
      const runs = [...current].map(([place, handles]) => runOf(place, handles))
      const body = encodeSettled({ groupId: group.id, runs })
      const end = log.appendControl({ kind: 'settled', body })
      const done = deferred<boolean>()
      for (const [place, { numbers }] of current)
        log.until(end, place.book.settle(numbers, done.promise).applied)
      log.until(end, () => done.resolve(true))
      await log.whenDone(end)
      for (const handles of current.values()) handles.putAll(results, 'acked')
    }
    return this.#waited(judged, current.size > 0)
  }

  /** Moves the messages to their next delivery, or to the dead letters; durable when it resolves. @throws as `ack` */
  async nack(group: GroupDispatch, leases: readonly SettledLease[], nack: Nack): Promise<Results> {
    const { moving, clock, log } = this.#parts
    if (group.hasResets) await group.whenReset()
    const judged = this.#judge(group, leases)
    const { results, current } = judged
    let end: LogPosition | undefined
    let failed: MqError | undefined
    // All of them before the first is carried out: nothing else may happen to the last meanwhile.
    const moves = namedOf(results, current).map(({ place, number, put }) => {
      return { put, carryOut: moving.begin(moveOf({ group, place, number }, nack, clock.now())) }
    })
    for (const { put, carryOut } of moves) {
      try {
        const moved = await carryOut()
        if (moved !== undefined) end = moved.end
        put(moved?.to ?? 'unknown')
      } catch (error) {
        // Those before are moved; the others stay where they are, leased as they were.
        if (!isMqError(error)) throw error
        failed ??= error
      }
    }
    if (end !== undefined) await log.whenDone(end)
    if (failed !== undefined) throw end === undefined ? failed : partly(failed)
    return this.#waited(judged, end !== undefined)
  }

  /** Hides the messages for `invisibleMs` from now on. Nobody waits for the disk: losing it only means a delivery more. */
  async extend(
    group: GroupDispatch,
    leases: readonly SettledLease[],
    invisibleMs: number,
  ): Promise<{ readonly results: Results; readonly until: number }> {
    const { clock } = this.#parts
    if (group.hasResets) await group.whenReset()
    const judged = this.#judge(group, leases)
    const { results, current } = judged
    const until = clock.now() + invisibleMs
    const held = namedOf(results, current).filter(({ place, number, put }) => {
      const isHeld = place.book.isHeld(number)
      if (!isHeld) put('expired')
      return isHeld
    })
    this.#change(group, held, (lease) => ({ ...lease, until }))
    for (const { put } of held) put('extended')
    return { results: await this.#waited(judged, held.length > 0), until }
  }

  /** Gives messages back: they can be handed out at once, and the delivery does not count. */
  async release(group: GroupDispatch, leases: readonly SettledLease[]): Promise<Results> {
    if (group.hasResets) await group.whenReset()
    const nowMs = this.#parts.clock.now()
    const judged = this.#judge(group, leases)
    const { results, current } = judged
    const held = namedOf(results, current).filter(({ place, number, put }) => {
      put('released')
      return place.book.isHeld(number)
    })
    this.#change(group, held, (lease) => givenBack(lease, nowMs))
    for (const { place, number } of held) group.returned(place, number)
    return this.#waited(judged, held.length > 0)
  }

  /**
   * Takes leases away: their messages can be handed out at once, and the delivery counts, unless it was the last one.
   * @returns which were held
   */
  takeBack(group: GroupDispatch, places: readonly HeldPlace[]): boolean[] {
    const nowMs = this.#parts.clock.now()
    const held = places.filter(({ place, number }) => place.book.isHeld(number))
    const { maxAttempts } = group.group.policy
    this.#change(group, held, (lease) => {
      if (lease.attempt >= maxAttempts) return givenBack(lease, nowMs)
      return { ...lease, nonce: 0, at: nowMs, until: nowMs, earlier: unanswered(lease, nowMs) }
    })
    for (const { place, number } of held) group.returned(place, number)
    return places.map((place) => held.includes(place))
  }

  /** Gives leases other ends, and says so in the log. */
  #change(
    group: GroupDispatch,
    named: readonly HeldPlace[],
    change: (lease: Lease) => Lease,
  ): void {
    const { log, expireAt } = this.#parts
    const changes = [...byLease(named)].map(([before, { place, numbers }]) => {
      return { place, numbers, lease: change(before) }
    })
    for (const { place, numbers, lease } of changes) {
      const { key, generation } = place
      const next = offset(0)
      const run: LeasedRun = { key, generation, attempt: lease.attempt, next, numbers }
      const body = encodeLeased({ groupId: group.id, ...lease, runs: [run] })
      const end = log.appendControl({ kind: 'leased', body }, { isPatient: true })
      log.until(end, place.book.grant(numbers, lease))
      if (lease.nonce !== 0) expireAt({ groupId: group.id, place, numbers, lease })
    }
  }

  /** Looks at every handle. What is wrong with one is its result; the others are `current`. */
  #judge(group: GroupDispatch, leases: readonly SettledLease[]): Judged {
    const judged: Judged = { results: [], current: new Map(), waiting: [] }
    for (const [row, { lease, numbers }] of leases.entries()) {
      const token = this.#parts.read(lease)
      const isForeign = token !== undefined && token.groupId !== group.id
      judged.results.push(numbers.map(() => (isForeign ? 'foreign' : 'unknown')))
      if (token === undefined || isForeign) continue
      const where = this.#parts.whereLed(token.key)
      if (where === 'elsewhere')
        throw new MqError('not_leader', 'a handle is of a partition that is led elsewhere')
      const partition = where === 'nowhere' ? undefined : group.known(token.key)
      if (partition === undefined) continue
      for (const [column, number] of numbers.entries()) {
        const place = placeOf(group, partition, number)
        if (place !== undefined) judgeOne({ place, number, token, row, column }, judged)
      }
    }
    return judged
  }

  /** Whoever comes while a settlement is in flight is answered from it. */
  async #waited({ results, waiting }: Judged, wasSomeDone: boolean): Promise<Results> {
    for (const { row, column, isDone } of waiting) {
      if (!(await isDone)) {
        const busy = new MqError('broker_busy', 'what was to become of the message was not written')
        throw wasSomeDone ? partly(busy) : busy
      }
      putAt(results[row], column, 'already')
    }
    return results
  }
}

interface Judged {
  readonly results: Results
  readonly current: Map<LeasePlace, CurrentHandles>
  /** Others that settle them are in flight: whether each was carried out. */
  readonly waiting: {
    readonly row: number
    readonly column: number
    readonly isDone: Promise<boolean>
  }[]
}

interface JudgedHandle extends HeldPlace {
  readonly token: LeaseToken
  /** Where its result goes: lease, then number. */
  readonly row: number
  readonly column: number
}

function judgeOne({ place, number, token, row, column }: JudgedHandle, judged: Judged): void {
  const { results, current, waiting } = judged
  const handles = current.get(place)
  if (handles?.has(number) === true) return putAt(results[row], column, 'already')
  const isReset = token.generation !== place.generation
  const verdict = isReset ? 'expired' : place.book.judge(number, token.nonce)
  if (verdict === 'current') {
    const taken = handles ?? new CurrentHandles()
    taken.add(number, row, column)
    if (handles === undefined) current.set(place, taken)
  } else if (verdict === 'settling')
    waiting.push({
      row,
      column,
      isDone: place.book.settlement(number) ?? Promise.resolve(true),
    })
  else putAt(results[row], column, verdict === 'settled' ? 'already' : 'expired')
}

/** Of a request that was carried out in part: the error alone would say that nothing was done. */
function partly(error: MqError): MqError {
  const what = `a part of the request was carried out, and of the rest: ${error.what}`
  return new MqError('outcome_unknown', what, { cause: error })
}

/** One by one, place by place. */
function namedOf(results: Results, current: Judged['current']): Named[] {
  return [...current].flatMap(([place, handles]) =>
    handles.numbers.map((number, index) => {
      return { place, number, put: (result) => handles.put(results, index, result) }
    }),
  )
}

/** Where a handle points; undefined for numbers that are not of the partition. */
function placeOf(
  group: GroupDispatch,
  partition: PartitionDispatch,
  number: number,
): LeasePlace | undefined {
  if (!isHeldNumber(number)) return partition.has(number) ? partition : undefined
  return group.retries.mayBe(number, partition.key) ? group.retries.placeOf(partition) : undefined
}

function moveOf(
  { group, place, number }: { group: GroupDispatch; place: LeasePlace; number: number },
  { error, delayMs, retriable }: Nack,
  nowMs: number,
): Move {
  const outcome = retriable ? 'nack' : 'rejected'
  return { group, place, number, outcome, error, delayMs, nowMs }
}

function putAt(row: SettleResult[] | undefined, column: number, result: SettleResult): void {
  if (row !== undefined) row[column] = result
}

function runOf({ key, generation }: LeasePlace, { ascending: numbers }: CurrentHandles): LeasedRun {
  return { key, generation, attempt: 0, next: offset(0), numbers }
}
