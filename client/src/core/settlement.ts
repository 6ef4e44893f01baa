import { present } from '@popmq/kit'
import { isMqError, type MqError, partitionKey } from '@popmq/protocol'
import type { PartitionNumber, SettleResult, SettleVerb, TopicId } from '@popmq/protocol'
import type { Settled } from '../api/pop-consumer.ts'
import { type HandleParts, parseHandle, parseLease } from './handle.ts'
import type { NamedHandle } from './leased-message.ts'

/** Handles of one lease, which one broker settles: the leader of its partition. */
export interface LeaseHandles {
  readonly topicId: TopicId
  readonly partition: PartitionNumber
  readonly lease: Uint8Array
  readonly numbers: readonly number[]
  /** Where each stands among the handles of the call, the first time. */
  readonly positions: readonly number[]
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
  readonly text: string
  readonly numbers: number[]
  readonly positions: number[]
  /** Positions by number; not needed while numbers come in ascending order, as they were popped. */
  byNumber: Map<number, number> | undefined
}

/**
 * One call that settles handles: sorts them by lease, and keeps what became of each. A handle is open until a broker
 * answered, or it failed. One that stands twice in the call is sent once.
 */
export class Settlement {
  readonly #verb: SettleVerb
  readonly #handles: readonly NamedHandle[]
  readonly #leases: Collected[] = []
  readonly #byText = new Map<string, Collected>()
  readonly #settled: (Settled | undefined)[]
  /** Handles that stand twice, with where they stand first. */
  readonly #again = new Map<number, number>()

  constructor(verb: SettleVerb, handles: readonly NamedHandle[]) {
    this.#verb = verb
    this.#handles = handles
    this.#settled = handles.map(() => undefined)
    // The text of a handle is made when it is asked for: not where it need not be read.
    for (const [position, named] of handles.entries())
      this.#collect(position, named.parts ?? parseHandle(named.handle))
  }

  /** What is to be settled by brokers. */
  get leases(): readonly LeaseHandles[] {
    return this.#leases
  }

  /** One result per handle, in the order given. */
  get results(): Settled[] {
    for (const [position, first] of this.#again)
      this.#settle(position, present(this.#settled[first], 'each handle was answered or failed'))
    return this.#settled.map((settled) => present(settled, 'each handle was answered or failed'))
  }

  answered(leases: readonly LeaseHandles[], reply: SettleReply): void {
    for (const [at, lease] of leases.entries()) {
      const results = reply.results[at] ?? []
      for (const [index, position] of lease.positions.entries()) {
        const told = results[index] ?? 'unknown'
        const result = reply.isInTime && this.#isOwn(told, lease) ? 'acked' : told
        const isExtended = result === 'extended' && reply.until !== undefined
        this.#settle(position, isExtended ? { result, leasedUntil: reply.until } : { result })
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
    for (const { positions } of leases)
      for (const position of positions) this.#settle(position, { result: 'failed', error })
  }

  /** Whether what is settled already was acked by the try of this call whose answer was lost. */
  #isOwn(result: SettleResult, { isUncertain }: LeaseHandles): boolean {
    return result === 'already' && isUncertain && this.#verb === 'ack'
  }

  #collect(position: number, parts: HandleParts | undefined): void {
    if (parts === undefined) {
      this.#settle(position, { result: 'unknown' })
      return
    }
    const { number } = parts
    const lease = this.#leaseOf(parts)
    const first = firstOf(lease, number)
    if (first === undefined) {
      lease.byNumber?.set(number, position)
      lease.numbers.push(number)
      lease.positions.push(position)
    } else this.#again.set(position, first)
  }

  #leaseOf({ topicId, partition, lease: text }: HandleParts): Collected {
    const last = this.#leases.at(-1)
    // Handles of one pop stand together, and share the text of their lease.
    if (last?.text === text && last.topicId === topicId && last.partition === partition) return last
    const key = `${partitionKey(topicId, partition)}.${text}`
    const there = this.#byText.get(key)
    if (there !== undefined) return there
    const lease = { topicId, partition, text, lease: parseLease(text), isUncertain: false }
    const made: Collected = { ...lease, numbers: [], positions: [], byNumber: undefined }
    this.#byText.set(key, made)
    this.#leases.push(made)
    return made
  }

  #settle(position: number, settled: Omit<Settled, 'handle'>): void {
    const handle = this.#handles[position]?.handle ?? ''
    this.#settled[position] = { ...settled, handle }
  }
}

/** The position at which the number stands already. */
function firstOf(lease: Collected, number: number): number | undefined {
  const { numbers, positions } = lease
  if (lease.byNumber === undefined && number > (numbers.at(-1) ?? -1)) return undefined
  lease.byNumber ??= new Map(numbers.map((each, index) => [each, positions[index] ?? 0]))
  return lease.byNumber.get(number)
}

/** Whether the same request may be answered otherwise later. */
export function maySettleLater(error: MqError): boolean {
  return error.retriable !== 'no' && !isMqError(error, 'aborted')
}
