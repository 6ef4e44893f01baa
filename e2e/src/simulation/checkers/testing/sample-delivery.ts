import {
  DeliveryBook,
  type DelayChange,
  type Handed,
  type Settle,
  type ShownLetter,
  type ToldState,
} from '../../delivery-history.ts'
import { type Checker, HistoryBook, partitionName, type Send } from '../../history.ts'

const partition = partitionName(7, 0)
const group = 1
const node = 'broker-1'

/** For tests: what happened to partition 0 of topic 7 and one group, written by hand. Pops and answers take 2 ms. */
export class SampleDelivery {
  readonly book = new HistoryBook()
  readonly delivery = new DeliveryBook(1_000_000)

  constructor() {
    this.book.delivery = this.delivery
    this.book.topics.set(7, {
      name: 'work',
      id: 7,
      partitions: 1,
      expires: false,
      dedupWindowMs: 0,
    })
    this.delivery.groups.push({ id: group, maxAttempts: 3, backOffMs: [100, 400] })
    this.delivery.leaders.set(partition, node)
  }

  /** Message 0, unless told otherwise, leased for 100 ms. */
  handed(atMs: number, more: Partial<Handed> = {}): Handed {
    const { offset = 0 } = more
    const handed: Handed = {
      group,
      partition,
      offset,
      consumer: 'd1',
      node,
      number: offset,
      value: `v${offset}`,
      attempt: 1,
      generation: 0,
      lease: `${this.delivery.handed.length}`,
      invisibleMs: 100,
      askedMs: atMs - 2,
      atMs,
      ...more,
    }
    this.delivery.handed.push(handed)
    return handed
  }

  /** An answer to an ack, unless told otherwise. */
  told(
    handed: Handed,
    result: Settle['result'],
    { atMs, ...more }: Partial<Settle> & { readonly atMs: number },
  ): this {
    this.delivery.settles.push({
      handed,
      verb: 'ack',
      consumer: handed.consumer,
      isRetriable: true,
      delayMs: undefined,
      invisibleMs: undefined,
      askedMs: atMs - 2,
      answeredMs: result === undefined ? Number.POSITIVE_INFINITY : atMs,
      result,
      ...more,
    })
    return this
  }

  nacked(handed: Handed, result: Settle['result'], atMs: number): this {
    return this.told(handed, result, { atMs, verb: 'nack' })
  }

  reset(offset: number, atMs: number): this {
    this.delivery.resets.push({ group, partition, offset, askedMs: atMs - 2, answeredMs: atMs })
    return this
  }

  takenBack(number: number, atMs: number): this {
    const place = { group, partition, offset: number, number }
    this.delivery.takeBacks.push({ ...place, askedMs: atMs - 2, answeredMs: atMs })
    return this
  }

  crashed(atMs: number): this {
    this.delivery.lifeEnds.push({ node, atMs })
    this.book.crashes.push({ node, atMs })
    return this
  }

  jumped(skewMs: number, atMs: number): this {
    this.delivery.jumps.push({ node, atMs, skewMs })
    return this
  }

  /** A message that is delayed by 500 ms, stored at 10 ms under held number 99. */
  delayed(value: string, more: Partial<Send> = {}): this {
    const appendedAt = 1_000_010
    this.book.sends.push({
      value,
      producer: 'p',
      index: 0,
      topic: 'work',
      acks: 'disk',
      dedupId: undefined,
      key: undefined,
      invokedMs: 5,
      delay: { delayMs: 500 },
      state: 'ok',
      settledMs: 15,
      error: undefined,
      receipt: { partition: 0, offset: 99, appendedAt, duplicate: false, level: 'disk' },
      ...more,
    })
    return this
  }

  /** A cancel, unless it has a time. */
  changed(result: DelayChange['result'], atMs: number, deliverAt?: number): this {
    const asked = { node, number: 99, deliverAt, askedMs: atMs - 2, answeredMs: atMs }
    this.delivery.delayChanges.push({ ...asked, result })
    return this
  }

  /** What can be read at the end: values with their append times. */
  left(...values: readonly (readonly [value: string, appendedAt: number])[]): this {
    const messages = values.map(([value, appendedAt], offset) => ({ offset, value, appendedAt }))
    this.book.final.set(partition, { low: 0, high: values.length, messages })
    return this
  }

  /** What is told at the end. */
  ended(state: Partial<ToldState>, letters: readonly ShownLetter[] = []): this {
    const none = { ready: 0, leased: 0, retrying: 0, parked: 0, dead: 0, acked: 0, skipped: 0 }
    const told = { group, partition, high: 0, ...none, ...state }
    this.delivery.ends.push({ states: [told], letters })
    return this
  }

  judged(checker: Checker): string {
    return checker(this.book)
      .map(({ what }) => what)
      .join('; ')
  }
}

/** A letter of message 0 that was nacked three times by one consumer. */
export function letterOf(more: Partial<ShownLetter> = {}): ShownLetter {
  const told = [1, 2, 3].map((n) => ({ n, consumer: 'd1', outcome: 'nack' }))
  return {
    group,
    partition,
    offset: 0,
    node,
    letter: 0,
    state: 'open',
    attempts: 3,
    cause: 'nack',
    told,
    ...more,
  }
}
