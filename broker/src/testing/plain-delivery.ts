import type { SettleResult } from '@popmq/protocol'
import { policy } from './delivery-world.ts'

/** Who has a message, or had it last. */
export interface PlainLease {
  /** 0: it was given back. */
  readonly nonce: number
  readonly at: number
  readonly until: number
  /** When it ends: after a restart later than it was told. */
  endsAt: number
  readonly consumer: string
  /** Time is up, or it was given back: others may have it. */
  isFree: boolean
}

/** The least that is left of a lease after a restart, unless it was granted for less. */
const graceMs = 5_000

/** One message for one group. */
export interface PlainMessage {
  readonly value: string
  readonly partition: number
  readonly offset: number
  readonly tag: string
  /** `fresh`: never handed out. `open`: handed out, or free again. `retry`: a copy waits or is handed out. */
  place: 'fresh' | 'open' | 'retry' | 'dead' | 'acked' | 'skipped'
  /** Its offset, or the held number of its copy once that is known. */
  number: number
  /** Deliveries so far; one that was given back does not count. */
  attempt: number
  /** Those among them that are known to have ended without an answer. */
  expiries: number
  lease: PlainLease | undefined
  dueAt: number
}

export interface PlainHandle {
  readonly group: number
  readonly partition: number
  readonly offset: number
  readonly number: number
  readonly generation: number
  readonly nonce: number
  readonly lease: Uint8Array
}

/** What a message of a group can do: the whole legal relation, in the plainest words. */
export class PlainGroup {
  readonly id: number
  /** The only tag it wants; undefined: every message. */
  readonly tag: string | undefined
  readonly generations: number[] = [0, 0]
  readonly messages: PlainMessage[] = []

  constructor(id: number, tag?: string) {
    this.id = id
    this.tag = tag
  }

  copy(): PlainGroup {
    const copy = new PlainGroup(this.id, this.tag)
    copy.generations.splice(0, 2, ...this.generations)
    for (const message of this.messages)
      copy.messages.push({ ...message, lease: message.lease && { ...message.lease } })
    return copy
  }

  find(partition: number, offset: number): PlainMessage {
    const found = this.messages.find(
      (each) => each.partition === partition && each.offset === offset,
    )
    if (found === undefined) throw new Error(`there is no message ${partition}:${offset}`)
    return found
  }

  isWanted({ tag }: PlainMessage): boolean {
    return this.tag === undefined || this.tag === tag
  }

  isHeld({ lease }: PlainMessage): boolean {
    return lease !== undefined && !lease.isFree
  }

  isAvailable(message: PlainMessage, nowMs: number): boolean {
    const { place, lease, dueAt } = message
    if (place === 'fresh') return this.isWanted(message)
    if (place !== 'open' && place !== 'retry') return false
    return lease === undefined ? dueAt <= nowMs : lease.isFree
  }

  grant(message: PlainMessage, number: number, lease: PlainLease): void {
    const { lease: before } = message
    if (before !== undefined && before.nonce !== 0) message.expiries += 1
    if (message.place === 'fresh') message.place = 'open'
    message.attempt += 1
    message.number = number
    message.lease = lease
  }

  /** What a handle can do, before anything is done. */
  judge(handle: PlainHandle): 'current' | 'already' | 'expired' {
    const { place, number, lease } = this.find(handle.partition, handle.offset)
    if (handle.generation !== this.generations[handle.partition]) return 'expired'
    if (place === 'fresh') return 'current'
    if ((place !== 'open' && place !== 'retry') || number !== handle.number) return 'already'
    if (lease === undefined) return 'current'
    return lease.nonce === handle.nonce || lease.nonce === 0 ? 'current' : 'expired'
  }

  ack(message: PlainMessage): SettleResult {
    message.place = 'acked'
    message.lease = undefined
    return 'acked'
  }

  nack(
    message: PlainMessage,
    nack: {
      readonly delayMs: number | undefined
      readonly retriable: boolean
      readonly nowMs: number
    },
  ): SettleResult {
    const { lease } = message
    // One that was taken away is told as failed, no more as without an answer.
    if (lease?.nonce === 0 && lease.consumer !== '') message.expiries -= 1
    // A delivery that was given back, or lost with a crash, counts once it failed.
    else if (lease === undefined || lease.nonce === 0) message.attempt += 1
    return this.#fail(message, nack)
  }

  release(message: PlainMessage): SettleResult {
    if (this.isHeld(message)) {
      message.attempt -= 1
      message.lease = givenBack('')
    }
    return 'released'
  }

  extend(message: PlainMessage, until: number): SettleResult {
    if (!this.isHeld(message) || message.lease === undefined) return 'expired'
    message.lease = { ...message.lease, until, endsAt: until }
    return 'extended'
  }

  takeBack(message: PlainMessage): void {
    if (message.attempt >= policy.maxAttempts) {
      this.release(message)
      return
    }
    message.expiries += 1
    message.lease = givenBack(message.lease?.consumer ?? '')
  }

  /** Leases whose time is up by now. @returns whether a message was moved, which is durable */
  expire(nowMs: number): boolean {
    let hasMoved = false
    for (const message of this.messages) {
      const { lease } = message
      if (lease === undefined || lease.isFree || lease.endsAt > nowMs) continue
      if (message.attempt < policy.maxAttempts && message.expiries < 2) {
        lease.isFree = true
        continue
      }
      message.expiries += 1
      this.#fail(message, { delayMs: undefined, retriable: true, nowMs: lease.endsAt })
      hasMoved = true
    }
    return hasMoved
  }

  /** Another broker knows what was handed out, and not what ran out since: it honours all of it. */
  restart(nowMs: number): void {
    for (const { lease } of this.messages) {
      if (lease === undefined || lease.nonce === 0) continue
      const { at, until } = lease
      lease.isFree = false
      lease.endsAt = nowMs + Math.min(Math.max(until - nowMs, graceMs), until - at)
    }
  }

  reset(partition: number, to: number, generation: number): void {
    this.generations[partition] = generation
    for (const message of this.messages) {
      if (message.partition !== partition) continue
      if (message.offset < to) {
        if (message.place === 'fresh') message.place = 'skipped'
      } else {
        const { offset: number } = message
        Object.assign(message, {
          place: 'fresh',
          number,
          attempt: 0,
          expiries: 0,
          lease: undefined,
        })
      }
    }
  }

  purge(partition: number, low: number): void {
    for (const message of this.messages)
      if (message.partition === partition && message.offset < low && message.place === 'fresh')
        message.place = 'skipped'
  }

  #fail(
    message: PlainMessage,
    {
      delayMs,
      retriable,
      nowMs,
    }: { delayMs: number | undefined; retriable: boolean; nowMs: number },
  ): SettleResult {
    message.lease = undefined
    message.number = -1
    if (!retriable || message.attempt >= policy.maxAttempts) {
      message.place = 'dead'
      return 'dead'
    }
    message.place = 'retry'
    message.dueAt = nowMs + (delayMs ?? (message.attempt === 1 ? 1_000 : 5_000))
    return 'retrying'
  }
}

/** Whom it was taken from counts: the delivery then failed without an answer. */
function givenBack(consumer: string): PlainLease {
  return { nonce: 0, at: 0, until: 0, endsAt: 0, consumer, isFree: true }
}
