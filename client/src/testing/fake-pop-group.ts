import { crc32 } from '@popmq/kit/checksum'
import { copyRecord, encodeSource, epoch, firstHeldNumber, groupId } from '@popmq/protocol'
import { logPosition, MqError, offset, partitionNumber, type PopReason } from '@popmq/protocol'
import { type pop, type PoppedRun, RecordView, type ReplyOf, type RequestOf } from '@popmq/protocol'
import { type settle, type SettleResult, topicId } from '@popmq/protocol'
import type { FakePopsDeps } from './fake-pops.ts'

/** A message for the group: visible from `dueAt` on, unless it is leased. */
interface FakeDelivery {
  readonly topicId: number
  readonly partition: number
  /** Its offset, or a held number. */
  readonly number: number
  readonly record: Uint8Array
  state: 'visible' | 'leased' | 'settled'
  /** Deliveries that count. */
  attempts: number
  dueAt: number
  lease: number
  until: number
}

/**
 * A group as brokers play it for those who pop, in the plainest way. A nack moves the message: its copy has a held number
 * and a source; a lease that ran out makes it visible where it is.
 */
export class FakePopGroup {
  readonly id: number
  readonly #deps: FakePopsDeps
  readonly #starts = new Map<number, readonly number[]>()
  readonly #deliveries = new Map<string, FakeDelivery>()
  #nextHeld = firstHeldNumber
  #nextLease = 1
  invisibleMs = 30_000
  maxAttempts = 16
  backoffMs = 1_000
  /** Why nothing is handed out. */
  refusing: PopReason | undefined
  /** A lease that ran out settles the message, as where its copy is to be retried. */
  movesExpired = false
  readonly dead: number[] = []
  readonly nacks: RequestOf<typeof settle>[] = []

  constructor(id: number, deps: FakePopsDeps) {
    this.id = id
    this.#deps = deps
  }

  /** @returns whether the topic is new to it */
  start(topic: number, offsets: readonly number[]): boolean {
    if (this.#starts.has(topic)) return false
    this.#starts.set(topic, offsets)
    return true
  }

  /** Messages that are leased now. */
  get leased(): number {
    this.#expire()
    return [...this.#deliveries.values()].filter(({ state }) => state === 'leased').length
  }

  get unsettled(): number {
    return this.#deliveries.size - this.settled
  }

  get settled(): number {
    return [...this.#deliveries.values()].filter(({ state }) => state === 'settled').length
  }

  /** When the next lease ends, or the next retry is due. */
  nextDueAt(now: number): number {
    let earliest = Number.POSITIVE_INFINITY
    for (const { state, until, dueAt } of this.#deliveries.values()) {
      if (state === 'leased') earliest = Math.min(earliest, until)
      if (state === 'visible' && dueAt > now) earliest = Math.min(earliest, dueAt)
    }
    return earliest
  }

  isReady(topics: readonly number[], broker: number): boolean {
    return this.#visible(topics, broker).length > 0
  }

  pop(request: RequestOf<typeof pop>, broker: number) {
    const { topics, max, maxBytes, invisibleMs = this.invisibleMs } = request
    const { refusing } = this
    if (refusing !== undefined) return { reply: { runs: [], reason: refusing }, slices: [] }
    const runs: PoppedRun[] = []
    const slices: Uint8Array[] = []
    const now = this.#deps.clock.now()
    let bytes = 0
    for (const delivery of this.#visible(topics, broker).slice(0, max)) {
      if (bytes > 0 && bytes + delivery.record.length > maxBytes) break
      bytes += delivery.record.length
      slices.push(delivery.record)
      this.#nextLease += 1
      delivery.state = 'leased'
      delivery.lease = this.#nextLease
      delivery.until = now + invisibleMs
      const place = { topicId: topicId(delivery.topicId), count: 1, until: delivery.until }
      const partition = partitionNumber(delivery.partition)
      const attempt = delivery.attempts + 1
      const lease = leaseBytes(this.id, delivery.lease)
      runs.push({ ...place, partition, attempt, lease, bytes: delivery.record.length })
    }
    const reply: ReplyOf<typeof pop> = { runs }
    return { reply, slices }
  }

  settle(request: RequestOf<typeof settle>, broker: number): ReplyOf<typeof settle> {
    this.#expire()
    if (request.verb === 'nack') this.nacks.push(request)
    const results = request.leases.map(({ lease, numbers }) => {
      return numbers.map((number) => this.#settleOne(request, { lease, number }, broker))
    })
    const until = this.#deps.clock.now() + (request.invisibleMs ?? this.invisibleMs)
    return request.verb === 'extend' ? { results, until } : { results }
  }

  #settleOne(
    request: RequestOf<typeof settle>,
    { lease, number }: { lease: Uint8Array; number: number },
    broker: number,
  ): SettleResult {
    if (lease.length !== 8) return 'unknown'
    const view = new DataView(lease.buffer, lease.byteOffset)
    const [group, named] = [view.getUint32(0), view.getUint32(4)]
    if (group !== this.id) return 'foreign'
    const delivery = [...this.#deliveries.values()].find((each) => {
      return each.number === number && each.lease === named
    })
    if (delivery === undefined) {
      return [...this.#deliveries.values()].some((each) => each.number === number)
        ? 'expired'
        : 'unknown'
    }
    if (!this.#deps.leads(delivery.topicId, delivery.partition, broker)) {
      throw new MqError('not_leader', 'another broker leads')
    }
    if (delivery.state === 'settled') return 'already'
    return this.#carryOut(request, delivery)
  }

  #carryOut(request: RequestOf<typeof settle>, delivery: FakeDelivery): SettleResult {
    const now = this.#deps.clock.now()
    switch (request.verb) {
      case 'ack':
        delivery.state = 'settled'
        return 'acked'
      case 'extend':
        if (delivery.state !== 'leased') return 'expired'
        delivery.until = now + (request.invisibleMs ?? this.invisibleMs)
        return 'extended'
      case 'release':
        if (delivery.state === 'leased') delivery.state = 'visible'
        return 'released'
      case 'nack':
        delivery.state = 'settled'
        if (request.retriable === false || delivery.attempts + 1 >= this.maxAttempts) {
          this.dead.push(delivery.number)
          return 'dead'
        }
        this.#retry(delivery, now + (request.delayMs ?? this.backoffMs))
        return 'retrying'
    }
  }

  #retry(delivery: FakeDelivery, dueAt: number): void {
    const { topicId: topic, partition, attempts } = delivery
    const original = new RecordView(delivery.record)
    const number = this.#nextHeld
    this.#nextHeld += 1
    const source = {
      ...{ cause: 'nack' as const, attempts: attempts + 1, groupId: groupId(this.id) },
      ...{ topicId: topicId(topic), partition: partitionNumber(partition), expiries: 0 },
      ...{ settles: delivery.number, offset: original.offset, generation: 1, fingerprint: 0 },
      ...{ firstAppendedAt: original.appendedAt, at: this.#deps.clock.now() },
    }
    const head = {
      ...{ kind: 'retry' as const, topicId: topicId(topic), attempt: attempts + 1 },
      ...{ partition: partitionNumber(partition), source: encodeSource(source) },
    }
    const record = copyRecord(original, head, crc32)
    new RecordView(record).patch({
      ...{ position: logPosition(0), syncedPosition: logPosition(0), offset: offset(number) },
      ...{ appendedAt: this.#deps.clock.now(), marks: 0, leaderEpoch: epoch(1) },
    })
    this.#add({ ...delivery, number, record, state: 'visible', attempts: attempts + 1, dueAt })
  }

  #visible(topics: readonly number[], broker: number): FakeDelivery[] {
    this.#takeIn(topics)
    this.#expire()
    const now = this.#deps.clock.now()
    return [...this.#deliveries.values()].filter(
      ({ state, topicId: topic, partition, dueAt }) =>
        state === 'visible' &&
        dueAt <= now &&
        topics.includes(topic) &&
        this.#deps.leads(topic, partition, broker),
    )
  }

  /** Messages that were sent since it looked last. */
  #takeIn(topics: readonly number[]): void {
    for (const info of this.#deps.topics.values()) {
      if (!topics.includes(info.id)) continue
      for (const partition of info.sets.keys()) {
        const log = this.#deps.log(info.id, partition)
        const start = this.#starts.get(info.id)?.[partition] ?? 0
        for (const [index, record] of log.records.entries()) {
          const number = log.low + index
          if (number < start || this.#deliveries.has(`${info.id}/${partition}/${number}`)) continue
          const place = { topicId: info.id, partition, number, record }
          this.#add({ ...place, state: 'visible', attempts: 0, dueAt: 0, lease: 0, until: 0 })
        }
      }
    }
  }

  #add(delivery: FakeDelivery): void {
    const { topicId: topic, partition, number } = delivery
    this.#deliveries.set(`${topic}/${partition}/${number}`, delivery)
  }

  #expire(): void {
    const now = this.#deps.clock.now()
    for (const delivery of this.#deliveries.values()) {
      if (delivery.state !== 'leased' || delivery.until > now) continue
      if (this.movesExpired) this.#retry(delivery, now)
      delivery.state = this.movesExpired ? 'settled' : 'visible'
      delivery.attempts += 1
    }
  }
}

function leaseBytes(group: number, lease: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(8))
  view.setUint32(0, group)
  view.setUint32(4, lease)
  return new Uint8Array(view.buffer)
}
