import { sleep } from '@popmq/kit'
import {
  type Failure,
  groupId,
  isMqError,
  type ReplyOf,
  type RequestOf,
  settle,
  type SettledLease,
  type SettleVerb,
} from '@popmq/protocol'
import { type DeliveryBook, type Handed, placeName, type Settle } from '../../delivery-history.ts'
import type { Trace } from '../../trace.ts'
import type { WireClient } from '../wire-client.ts'

export interface SettlerParts {
  readonly consumer: string
  readonly client: WireClient
  readonly book: DeliveryBook
  readonly trace: Trace
}

export interface SettleAsked {
  readonly verb: SettleVerb
  readonly isRetriable?: boolean
  readonly delayMs?: number | undefined
  readonly invisibleMs?: number
}

/** As often an unanswered request is sent again. */
const mostTries = 6
const timeoutMs = 1_500

/** Sends what settles messages, again while nobody answers, and notes each request with its answer. */
export class Settler {
  readonly #parts: SettlerParts

  constructor(parts: SettlerParts) {
    this.#parts = parts
  }

  /** All were handed out by one broker. */
  async settle(handed: readonly Handed[], asked: SettleAsked): Promise<void> {
    const { client } = this.#parts
    const { clock, random } = client.parts
    for (let tries = 0; tries < mostTries; tries += 1) {
      try {
        return await this.#once(handed, asked)
      } catch (error) {
        if (!isMqError(error)) throw error
        if (error.retriable === 'no') return
        await sleep(clock, 30 + random.next() * 300)
      }
    }
  }

  /** Shows a handle that is not good; none of it may be believed. */
  async tryBad(handed: Handed, group: number, isDamaged: boolean): Promise<void> {
    const { book } = this.#parts
    const lease = leaseBytes(handed)
    if (isDamaged) lease[lease.length - 1] = (lease[lease.length - 1] ?? 0) ^ 1
    const leases = [{ lease, numbers: [handed.number] }]
    try {
      const { results } = await this.#call(handed.node, {
        groupId: groupId(group),
        verb: 'ack',
        leases,
      })
      const [[result] = []] = results
      if (result !== undefined)
        book.badHandles.push({ expected: isDamaged ? 'unknown' : 'foreign', result })
    } catch (error) {
      if (!isMqError(error)) throw error
    }
  }

  async #once(handed: readonly Handed[], asked: SettleAsked): Promise<void> {
    const [first] = handed
    if (first === undefined) return
    const { consumer, client, book } = this.#parts
    const { verb, isRetriable = true, delayMs, invisibleMs } = asked
    const askedMs = client.parts.clock.monotonic()
    const open = { answeredMs: Number.POSITIVE_INFINITY, result: undefined }
    const noted = handed.map((each): Settle => {
      const own = { handed: each, verb, consumer, isRetriable, delayMs, invisibleMs }
      return { ...own, askedMs, ...open }
    })
    book.settles.push(...noted)
    const byLease = grouped(noted)
    const leases = [...byLease.values()].map((all): SettledLease => {
      return {
        lease: leaseBytes(all[0]?.handed ?? first),
        numbers: all.map((each) => each.handed.number),
      }
    })
    const { results } = await this.#call(first.node, {
      groupId: groupId(first.group),
      verb,
      leases,
      ...(delayMs === undefined ? {} : { delayMs }),
      ...(invisibleMs === undefined ? {} : { invisibleMs }),
      ...(verb === 'nack' ? { retriable: isRetriable, error: failure } : {}),
    })
    const answeredMs = client.parts.clock.monotonic()
    for (const [index, all] of [...byLease.values()].entries())
      for (const [at, each] of all.entries())
        this.#answered(each, { answeredMs, result: results[index]?.[at] })
  }

  #answered(settle: Settle, answer: Pick<Settle, 'answeredMs' | 'result'>): void {
    const { trace, consumer } = this.#parts
    const { verb, handed } = settle
    Object.assign(settle, answer)
    trace.event(consumer, verb, placeName(handed), handed.number, handed.attempt, answer.result)
  }

  async #call(node: string, request: RequestOf<typeof settle>): Promise<ReplyOf<typeof settle>> {
    const caller = await this.#parts.client.caller(`${node}:7710`)
    return (await caller.call(settle, request, { timeoutMs })).reply
  }
}

const failure: Failure = { type: 'Poison', message: 'it always fails' }

function grouped(noted: readonly Settle[]): Map<string, Settle[]> {
  const byLease = new Map<string, Settle[]>()
  for (const each of noted) {
    const { lease } = each.handed
    byLease.set(lease, [...(byLease.get(lease) ?? []), each])
  }
  return byLease
}

function leaseBytes({ lease }: Handed): Uint8Array {
  return Uint8Array.from(Buffer.from(lease, 'hex'))
}
