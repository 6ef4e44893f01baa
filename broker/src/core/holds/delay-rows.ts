import { assert } from '@popmq/kit'
import {
  type LogPosition,
  logPosition,
  partitionNumber,
  type PartitionNumber,
  type TimeMs,
  topicId,
  type TopicId,
} from '@popmq/protocol'
import { PagedColumn } from './paged-column.ts'

/** A delayed message that waits: where its record lies and when it is due. */
export interface Delay {
  /** Its held number. */
  readonly number: number
  readonly topicId: TopicId
  readonly partition: PartitionNumber
  readonly position: LogPosition
  /** Of its record; never 0. */
  readonly bytes: number
  readonly dueAt: TimeMs
}

/** Index of a row; `sweep` may give a row another one. */
export type Row = number

/**
 * The delayed messages of a log as a table, sorted by number, for numbers only ascend. A removed row is dead and keeps
 * its number until a sweep drops it. 38 bytes a row.
 *
 * A sweep begins when a fifth of the rows are dead and goes on a few rows at a time, so that nobody waits for it: it
 * moves live rows up, over the dead ones.
 *
 *     | swept: live | gap: nothing | not swept yet: live and dead |
 *     0         gapStart        gapEnd                           end
 *
 * At the end of a sweep the rows from gapStart on are cut off. Between two sweeps both are 0.
 */
export class DelayRows {
  readonly #numbers = new PagedColumn((rows) => new Float64Array(rows))
  readonly #positions = new PagedColumn((rows) => new Float64Array(rows))
  readonly #dueTimes = new PagedColumn((rows) => new Float64Array(rows))
  /** 0 marks a dead row. */
  readonly #sizes = new PagedColumn((rows) => new Uint32Array(rows))
  readonly #topics = new PagedColumn((rows) => new Uint32Array(rows))
  readonly #partitions = new PagedColumn((rows) => new Uint16Array(rows))
  /** Where in the heap of due times a row stands: kept here, so that it moves with its row. */
  readonly #heapPlaces = new PagedColumn((rows) => new Uint32Array(rows))
  readonly #columns = [
    this.#numbers,
    this.#positions,
    this.#dueTimes,
    this.#sizes,
    this.#topics,
    this.#partitions,
    this.#heapPlaces,
  ]
  readonly #leastDead: number
  #end: Row = 0
  #live = 0
  #gapStart: Row = 0
  #gapEnd: Row = 0

  /** With fewer than `leastDead` dead rows no sweep begins. */
  constructor(leastDead = 1_024) {
    this.#leastDead = leastDead
  }

  /** Rows that are not dead. */
  get size(): number {
    return this.#live
  }

  /** Behind the last row, dead ones counted. */
  get end(): Row {
    return this.#end
  }

  get bytes(): number {
    return this.#columns.reduce((sum, column) => sum + column.bytes, 0)
  }

  /** Adds a row at the end. */
  push({ number, topicId: topic, partition, position, bytes, dueAt }: Delay): Row {
    // A row that a sweep has left behind keeps its number, so the last one tells in any case.
    assert(
      this.#end === 0 || number > this.#numbers.get(this.#end - 1),
      'held numbers ascend in the log',
    )
    assert(bytes > 0, 'a record has bytes')
    const row = this.#end
    this.#resize(row + 1)
    this.#live += 1
    this.#numbers.set(row, number)
    this.#positions.set(row, position)
    this.#dueTimes.set(row, dueAt)
    this.#sizes.set(row, bytes)
    this.#topics.set(row, topic)
    this.#partitions.set(row, partition)
    return row
  }

  /** The row of a number; undefined when it is dead or was never there. */
  find(number: number): Row | undefined {
    const row = this.from(number)
    return row < this.#end && this.#numbers.get(row) === number && this.isLive(row)
      ? row
      : undefined
  }

  /** The first row, dead or not, whose number is not below `number`; `end` when there is none. */
  from(number: number): Row {
    const gap = this.#gapEnd - this.#gapStart
    const behindGap = (index: number): Row => (index < this.#gapStart ? index : index + gap)
    let low = 0
    let high = this.#end - gap
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#numbers.get(behindGap(middle)) < number) low = middle + 1
      else high = middle
    }
    return behindGap(low)
  }

  isLive(row: Row): boolean {
    return this.#sizes.get(row) > 0
  }

  at(row: Row): Delay {
    return {
      number: this.#numbers.get(row),
      topicId: this.topicOf(row),
      partition: partitionNumber(this.#partitions.get(row)),
      position: logPosition(this.#positions.get(row)),
      bytes: this.#sizes.get(row),
      dueAt: this.#dueTimes.get(row),
    }
  }

  numberOf(row: Row): number {
    return this.#numbers.get(row)
  }
  topicOf(row: Row): TopicId {
    return topicId(this.#topics.get(row))
  }
  dueAt(row: Row): TimeMs {
    return this.#dueTimes.get(row)
  }
  heapPlace(row: Row): number {
    return this.#heapPlaces.get(row)
  }

  setPosition(row: Row, position: LogPosition): void {
    this.#positions.set(row, position)
  }
  setDueAt(row: Row, dueAt: TimeMs): void {
    this.#dueTimes.set(row, dueAt)
  }
  setHeapPlace(row: Row, place: number): void {
    this.#heapPlaces.set(row, place)
  }

  remove(row: Row): void {
    assert(this.isLive(row), 'a row is removed once')
    this.#sizes.set(row, 0)
    this.#live -= 1
  }

  /**
   * Sweeps `steps` rows, if a sweep is under way or worth its while.
   * @param moved is told the new index of each row that got another one
   */
  sweep(steps: number, moved: (row: Row) => void): void {
    if (this.#gapEnd === 0 && !this.#isSparse) return
    for (let step = 0; step < steps; step += 1) {
      if (this.#gapEnd === this.#end) {
        this.#resize(this.#gapStart)
        this.#gapStart = 0
        this.#gapEnd = 0
        return
      }
      this.#sweepRow(moved)
    }
  }

  #sweepRow(moved: (row: Row) => void): void {
    const row = this.#gapEnd
    this.#gapEnd += 1
    if (!this.isLive(row)) return
    const to = this.#gapStart
    this.#gapStart += 1
    if (to === row) return
    for (const column of this.#columns) column.set(to, column.get(row))
    this.#sizes.set(row, 0)
    moved(to)
  }

  get #isSparse(): boolean {
    const dead = this.#end - this.#live
    return dead >= this.#leastDead && dead > this.#live / 4
  }

  #resize(rows: number): void {
    this.#end = rows
    for (const column of this.#columns) column.resize(rows)
  }
}
