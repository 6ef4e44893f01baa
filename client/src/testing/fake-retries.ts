import { crc32 } from '@popmq/kit/checksum'
import type { Clock } from '@popmq/kit'
import {
  encodeSource,
  epoch,
  firstHeldNumber,
  groupId,
  logPosition,
  MqError,
} from '@popmq/protocol'
import { offset, partitionNumber, pop, popHint, prepareMessage, producerId } from '@popmq/protocol'
import { RecordView, RecordWriter, type ReplyOf, type RequestOf, setAside } from '@popmq/protocol'
import { settle, type SettleResult, topicId } from '@popmq/protocol'
import { type Answer, type Route, route } from '@popmq/transport'
import type { FakePart, FaultyAnswer } from './faults.ts'

interface FakeRetry {
  readonly number: number
  readonly topicId: number
  readonly partition: number
  readonly offset: number
  attempt: number
  dueAt: number
  /** When its lease is over; 0: nobody has it. */
  leasedUntil: number
  /** Of the lease. */
  nonce: number
}

/** One settled handle: what a test sees. */
export interface FakeAct {
  readonly verb: string
  readonly number: number
  readonly result: SettleResult
}

const backoffMs = 1_000

/** Plays a broker's part in the retries of one group that pulls, in the plainest way; all brokers share what they know. */
export class FakeRetries implements FakePart {
  readonly retries = new Map<number, FakeRetry>()
  readonly acts: FakeAct[] = []
  readonly asides: RequestOf<typeof setAside>[] = []
  readonly pops: RequestOf<typeof pop>[] = []
  /** Grants below it are fenced. */
  leastEpoch = 0
  readonly #clock: Clock
  readonly #waiting = new Set<() => void>()
  #nextNumber = firstHeldNumber
  #nextNonce = 1

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** A message that failed before, due now. */
  add(place: { topicId: number; partition: number; offset: number }, attempt = 2): number {
    const number = this.#nextNumber
    this.#nextNumber += 1
    const now = this.#clock.now()
    this.retries.set(number, { number, ...place, attempt, dueAt: now, leasedUntil: 0, nonce: 0 })
    this.#wake()
    return number
  }

  routes(address: string, faulty: FaultyAnswer): Route[] {
    if (address.startsWith('coordinator')) return []
    return [
      route(
        pop,
        faulty('pop', (request) => this.#pop(request)),
      ),
      route(
        popHint,
        faulty('pop_hint', async ({ waitMs }) => {
          await this.#wait(this.#clock.monotonic() + waitMs)
          return { reply: { isReady: this.#due.length > 0 } }
        }),
      ),
      route(
        settle,
        faulty('settle', (request) => ({ reply: this.#settle(request) })),
      ),
      route(
        setAside,
        faulty('set_aside', (request) => ({ reply: this.#setAside(request) })),
      ),
    ]
  }

  get #due(): FakeRetry[] {
    const now = this.#clock.now()
    return [...this.retries.values()].filter(
      ({ dueAt, leasedUntil }) => dueAt <= now && leasedUntil <= now,
    )
  }

  async #pop(request: RequestOf<typeof pop>): Promise<Answer<ReplyOf<typeof pop>>> {
    this.pops.push(request)
    await this.#wait(this.#clock.monotonic() + request.waitMs)
    const until = this.#clock.now() + (request.invisibleMs ?? 1)
    const slices: Uint8Array[] = []
    const runs = this.#due.slice(0, request.max).map((retry) => {
      // One that comes again after its lease was over was attempted meanwhile.
      if (retry.leasedUntil > 0) retry.attempt += 1
      retry.leasedUntil = until
      retry.nonce = this.#nextNonce
      this.#nextNonce += 1
      const bytes = recordOf(retry)
      slices.push(bytes)
      const { attempt } = retry
      const place = { topicId: topicId(retry.topicId), partition: partitionNumber(retry.partition) }
      const lease = Uint8Array.of(retry.nonce)
      return { ...place, lease, attempt, count: 1, bytes: bytes.length, until }
    })
    return { reply: { runs }, slices }
  }

  #settle({ verb, leases, delayMs, invisibleMs }: RequestOf<typeof settle>) {
    const results = leases.map(({ lease, numbers }) =>
      numbers.map((number): SettleResult => {
        const result = this.#settleOne(verb, { number, nonce: lease[0] ?? 0, delayMs, invisibleMs })
        this.acts.push({ verb, number, result })
        return result
      }),
    )
    return { results }
  }

  #settleOne(
    verb: RequestOf<typeof settle>['verb'],
    asked: {
      number: number
      nonce: number
      delayMs: number | undefined
      invisibleMs: number | undefined
    },
  ): SettleResult {
    const retry = this.retries.get(asked.number)
    if (retry === undefined) return 'already'
    if (retry.nonce !== asked.nonce) return 'expired'
    const now = this.#clock.now()
    switch (verb) {
      case 'ack':
        this.retries.delete(asked.number)
        return 'acked'
      case 'extend':
        retry.leasedUntil = now + (asked.invisibleMs ?? 1)
        return 'extended'
      case 'release':
        retry.leasedUntil = 0
        this.#wake()
        return 'released'
      case 'nack':
        this.retries.set(asked.number, {
          ...{ ...retry, attempt: retry.attempt + 1, leasedUntil: 0, nonce: 0 },
          dueAt: now + (asked.delayMs ?? backoffMs),
        })
        this.#wake()
        return 'retrying'
      default:
        return verb satisfies never
    }
  }

  #setAside(request: RequestOf<typeof setAside>) {
    if (request.epoch < this.leastEpoch) throw new MqError('grant_fenced', 'a later grant was seen')
    const same = this.asides.filter(({ partition: at }) => at === request.partition)
    const before = new Set(same.flatMap(({ offsets }) => offsets))
    this.asides.push(request)
    const { topicId: topic, partition, delayMs = backoffMs, retriable = true } = request
    const results = request.offsets.map((at): SettleResult => {
      if (before.has(at)) return 'already'
      if (!retriable) return 'dead'
      const number = this.add({ topicId: topic, partition, offset: at })
      const retry = this.retries.get(number)
      if (retry !== undefined) retry.dueAt = this.#clock.now() + delayMs
      return 'retrying'
    })
    return { results }
  }

  /** Until something is due, or a time on the monotonic clock. */
  async #wait(endsAt: number): Promise<void> {
    for (;;) {
      const leftMs = endsAt - this.#clock.monotonic()
      if (this.#due.length > 0 || leftMs <= 0) return
      const now = this.#clock.now()
      const nexts = [...this.retries.values()].map(({ dueAt, leasedUntil }) =>
        Math.max(1, Math.max(dueAt, leasedUntil) - now),
      )
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          timer.cancel()
          this.#waiting.delete(wake)
          resolve()
        }
        const timer = this.#clock.after(Math.min(leftMs, ...nexts), wake)
        this.#waiting.add(wake)
      })
    }
  }

  #wake(): void {
    for (const wake of [...this.#waiting]) wake()
  }
}

/** Its value names its offset. */
function recordOf(retry: FakeRetry): Uint8Array {
  const place = { topicId: topicId(retry.topicId), partition: partitionNumber(retry.partition) }
  const source = encodeSource({
    ...place,
    cause: 'nack',
    attempts: retry.attempt - 1,
    groupId: groupId(1),
    expiries: 0,
    settles: retry.offset,
    offset: offset(retry.offset),
    firstAppendedAt: 77,
    fingerprint: 0,
    generation: 0,
    at: 99,
  })
  const message = prepareMessage({ source }, `again ${retry.offset}`)
  const bytes = new Uint8Array(message.recordBytes)
  const writer = new RecordWriter(bytes)
  const run = { producerId: producerId(0), producerEpoch: 0, runCount: 1, runBase: 0 }
  const messageId = new Uint8Array(16)
  writer.message(0, message, { ...place, kind: 'retry', messageId, ...run })
  writer.seal(0, crc32)
  new RecordView(bytes).patch({
    position: logPosition(0),
    syncedPosition: logPosition(0),
    offset: offset(retry.number),
    appendedAt: 99,
    marks: 0,
    leaderEpoch: epoch(1),
  })
  return bytes
}
