import { present } from '@popmq/kit'
import { isMqError, type MqError, partitionKey, type SettledLease } from '@popmq/protocol'
import type { PartitionNumber, SettleResult, SettleVerb, TopicId } from '@popmq/protocol'
import type { Settled } from '../api/pop-consumer.ts'
import { parseHandle, parseLease } from './handle.ts'

/** Handles of one lease, which one broker settles: the leader of its partition. */
export interface LeaseHandles {
  readonly topicId: TopicId
  readonly partition: PartitionNumber
  readonly lease: Uint8Array
  readonly numbers: readonly number[]
  /** An earlier try may have been carried out. */
  isUncertain: boolean
}

/** What a broker answered. */
export interface SettleReply {
  readonly results: readonly (readonly SettleResult[])[]
  readonly until?: number | undefined
  /** No lease was over by then: nobody else can have settled the messages, nor the broker given them up. */
  readonly isInTime: boolean
}

interface Collected extends LeaseHandles {
  readonly numbers: number[]
}

/** Keeps a request within the limits of its field map, however many leases its handles are of. */
const mostHandles = 8_000
const mostBytes = 700_000
const bytesPerLease = 32
const bytesPerNumber = 9

/**
 * One call that settles handles: sorts them by lease, and keeps what became of each. A handle is open until a broker
 * answered, or it failed. One that stands twice in the call is sent once.
 */
export class Settlement {
  readonly #verb: SettleVerb
  readonly #handles: readonly string[]
  readonly #leases = new Map<string, Collected>()
  readonly #settled = new Map<string, Settled>()
  /** The text of each handle, by lease and number. */
  readonly #texts = new Map<LeaseHandles, string[]>()

  constructor(verb: SettleVerb, handles: readonly string[]) {
    this.#verb = verb
    this.#handles = handles
    const known = new Set<string>()
    for (const handle of handles) {
      if (known.has(handle)) continue
      known.add(handle)
      this.#collect(handle)
    }
  }

  /** What is to be settled by brokers. */
  get leases(): readonly LeaseHandles[] {
    return [...this.#leases.values()]
  }

  /** One result per handle, in the order given. */
  get results(): Settled[] {
    return this.#handles.map((handle) =>
      present(this.#settled.get(handle), 'each handle was answered or failed'),
    )
  }

  answered(leases: readonly LeaseHandles[], reply: SettleReply): void {
    for (const [at, lease] of leases.entries()) {
      for (const [index, handle] of this.#textsOf(lease).entries()) {
        const told = reply.results[at]?.[index] ?? 'unknown'
        const result = reply.isInTime && this.#isOwn(told, lease) ? 'acked' : told
        const isExtended = result === 'extended' && reply.until !== undefined
        const until = isExtended ? { leasedUntil: reply.until } : {}
        this.#settled.set(handle, { handle, result, ...until })
      }
    }
  }

  /** Nobody knows the partition: it is gone with its topic. */
  unknown(leases: readonly LeaseHandles[]): void {
    this.answered(leases, { results: [], isInTime: false })
  }

  /** A try did not end with an answer. It may be made again: doing it twice is harmless. */
  tried(leases: readonly LeaseHandles[], error: MqError): void {
    if (error.retriable !== 'unknown') return
    for (const lease of leases) lease.isUncertain = true
  }

  failed(leases: readonly LeaseHandles[], error: MqError): void {
    for (const lease of leases) {
      for (const handle of this.#textsOf(lease)) {
        this.#settled.set(handle, { handle, result: 'failed', error })
      }
    }
  }

  /** Whether what is settled already was acked by the try of this call whose answer was lost. */
  #isOwn(result: SettleResult, { isUncertain }: LeaseHandles): boolean {
    return result === 'already' && isUncertain && this.#verb === 'ack'
  }

  #collect(handle: string): void {
    const parts = parseHandle(handle)
    if (parts === undefined) {
      this.#settled.set(handle, { handle, result: 'unknown' })
      return
    }
    const { topicId, partition, number, lease: text } = parts
    const key = `${partitionKey(topicId, partition)}.${text}`
    let lease = this.#leases.get(key)
    if (lease === undefined) {
      lease = { topicId, partition, lease: parseLease(text), numbers: [], isUncertain: false }
      this.#leases.set(key, lease)
    }
    lease.numbers.push(number)
    const texts = this.#texts.get(lease) ?? []
    texts.push(handle)
    this.#texts.set(lease, texts)
  }

  #textsOf(lease: LeaseHandles): readonly string[] {
    return present(this.#texts.get(lease), 'a lease is of the call that collected it')
  }
}

/** What one request may carry, in order. */
export function* settleRequests(leases: readonly LeaseHandles[]): Generator<LeaseHandles[]> {
  let request: LeaseHandles[] = []
  let handles = 0
  let bytes = 0
  for (const lease of leases) {
    const size = lease.lease.length + bytesPerLease + lease.numbers.length * bytesPerNumber
    const isFull = handles + lease.numbers.length > mostHandles || bytes + size > mostBytes
    if (isFull && request.length > 0) {
      yield request
      request = []
      handles = 0
      bytes = 0
    }
    request.push(lease)
    handles += lease.numbers.length
    bytes += size
  }
  if (request.length > 0) yield request
}

export function settledLease({ lease, numbers }: LeaseHandles): SettledLease {
  return { lease, numbers }
}

/** Whether the same request may be answered otherwise later. */
export function maySettleLater(error: MqError): boolean {
  return error.retriable !== 'no' && !isMqError(error, 'aborted')
}
