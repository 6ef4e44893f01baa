import {
  HistoryBook,
  partitionName,
  type ReadMessage,
  type Send,
  type SendReceipt,
} from '../../history.ts'

/** For tests: a history written by hand. Topic 7 is `orders` with one partition. */
export class SampleHistory {
  readonly book = new HistoryBook()
  #index = 0

  constructor({ expires = false, dedupWindowMs = 0 } = {}) {
    this.book.topics.set(7, { name: 'orders', id: 7, partitions: 1, expires, dedupWindowMs })
  }

  /** A message that was acknowledged at `offset`. */
  acked(value: string, offset: number, more: Partial<Send> & { receipt?: SendReceipt } = {}): this {
    const receipt: SendReceipt = {
      partition: 0,
      offset,
      appendedAt: 1_000 + offset,
      duplicate: false,
      level: 'disk',
    }
    return this.sent(value, { state: 'ok', receipt, ...more })
  }

  sent(value: string, more: Partial<Send>): this {
    const index = this.#index
    this.#index += 1
    this.book.sends.push({
      value,
      producer: 'p',
      index,
      topic: 'orders',
      acks: 'disk',
      dedupId: undefined,
      key: undefined,
      invokedMs: index * 10,
      state: 'unknown',
      settledMs: index * 10 + 5,
      error: undefined,
      receipt: undefined,
      ...more,
    })
    return this
  }

  /** One poll by `reader` that brought `values` from `from` on. */
  read(
    values: readonly string[],
    more: { from?: number; reader?: string; high?: number } = {},
  ): this {
    const { from = 0, reader = 'r', high = from + values.length } = more
    const messages = values.map((value, index) => messageAt(from + index, value))
    const partition = partitionName(7, 0)
    this.book.polls.push({
      reader,
      partition,
      from,
      messages,
      low: 0,
      high,
      next: from + values.length,
      atMs: 0,
    })
    return this
  }

  /** What lies there at the end, from `low` on. */
  left(values: readonly string[], low = 0): this {
    const messages = values.map((value, index) => messageAt(low + index, value))
    this.book.final.set(partitionName(7, 0), { low, high: low + values.length, messages })
    return this
  }

  purged(before: number): this {
    this.book.removals.push({ kind: 'purge', partition: partitionName(7, 0), before })
    return this
  }
}

function messageAt(offset: number, value: string): ReadMessage {
  return { offset, value, appendedAt: 1_000 + offset }
}
