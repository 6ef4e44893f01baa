import {
  decodeSource,
  flags,
  type LogPosition,
  marks,
  recordKinds,
  type RecordView,
  sourceBytes,
  type TimeMs,
  type TopicId,
} from '@popmq/protocol'
import type { LiveBytes } from '../consume-queue/live-bytes.ts'
import { decodeDelays, encodeDelays } from './delays-snapshot.ts'
import { type Delay, DelayRows, type Row } from './delay-rows.ts'
import { DeliveredNumbers } from './delivered-numbers.ts'
import { DueHeap } from './due-heap.ts'
import { dueTimeOf } from './due-time.ts'
import { decodeHoldChanges, type HoldChange } from './hold-change.ts'

export interface DelaysOptions {
  readonly live: Pick<LiveBytes, 'add' | 'numberAt'>
  /** How many delivered messages are remembered, the newest. @defaultValue 65_536 */
  readonly mostDelivered?: number
  /** With fewer removed rows nothing is swept. @defaultValue 1_024 */
  readonly leastDead?: number
}

export interface DueBatch {
  readonly nowMs: TimeMs
  /** At most so many. */
  readonly most: number
  /** Those that the caller holds back. */
  readonly isWithheld: (number: number) => boolean
}

export interface DelayPage {
  readonly topicId: TopicId
  /** The last number seen; 0 for the first page. */
  readonly after: number
  readonly limit: number
}

/**
 * The delayed messages that wait, a view: it changes only by the committed records that are applied, in log order.
 *
 *     absent ──delayed──▶ pending ──message whose source settles it──▶ delivered (remembered for a while)
 *     pending ──let go by hold_changed, topic_gone──▶ absent
 *     pending ──hold_changed with a time──▶ pending, due then
 *     pending ──moved by cleaning──▶ pending, its record elsewhere
 *
 * Memory: at most 60 bytes a pending message (with some thousands or more of them), 42 when none was removed of late.
 */
export class Delays {
  readonly #options: DelaysOptions
  readonly #mostDelivered: number
  #rows: DelayRows
  #heap: DueHeap
  #delivered: DeliveredNumbers
  #perTopic = new Map<TopicId, number>()
  #tell: (() => void) | undefined

  constructor(options: DelaysOptions) {
    this.#options = options
    this.#mostDelivered = options.mostDelivered ?? 65_536
    this.#rows = new DelayRows(options.leastDead)
    this.#heap = new DueHeap(this.#rows)
    this.#delivered = new DeliveredNumbers(this.#mostDelivered)
  }

  /** How many are pending. */
  get size(): number {
    return this.#rows.size
  }

  /** Bytes of memory that the pending and the delivered take. */
  get bytes(): number {
    return this.#rows.bytes + this.#heap.bytes + this.#delivered.bytes
  }

  /** `tell` is called after another message became the first to be due. It must not append to the log at once. */
  follow(tell: () => void): void {
    this.#tell = tell
  }

  /** Takes in the next record below the commit position. Nothing becomes visible by it. */
  apply(record: RecordView): undefined {
    // Nearly all records are such messages: they are no concern of this view.
    if (record.kind === recordKinds.message && (record.flags & flags.source) === 0) return
    const first = this.nextDueAt()
    this.#take(record)
    if (this.nextDueAt() !== first) this.#tell?.()
  }

  #take(record: RecordView): void {
    switch (record.kind) {
      case recordKinds.delayed:
        if ((record.marks & marks.moved) !== 0) this.#repoint(record)
        else this.#add(record)
        return
      case recordKinds.message:
        this.#settle(record)
        return
      case recordKinds.hold_changed:
        for (const change of decodeHoldChanges(record.body)) this.#change(change)
        return
      case recordKinds.topic_gone:
        this.#forgetTopic(record.topicId)
    }
  }

  /** Whether the record of a pending message lies here: what cleaning has to move. */
  pointsAt(number: number, position: LogPosition): boolean {
    return this.get(number)?.position === position
  }

  /** When the first pending message is due, those held back left out. */
  nextDueAt(isWithheld?: (number: number) => boolean): TimeMs | undefined {
    if (isWithheld === undefined) {
      const first = this.#heap.peek()
      return first === undefined ? undefined : this.#rows.dueAt(first)
    }
    return this.due({ nowMs: Number.POSITIVE_INFINITY, most: 1, isWithheld })[0]?.dueAt
  }

  /** Pending messages that are due at `nowMs`, the first to be due first. */
  due({ nowMs, most, isWithheld }: DueBatch): Delay[] {
    const isRowWithheld = (row: Row): boolean => isWithheld(this.#rows.numberOf(row))
    const rows = this.#heap.due({ nowMs, most, isWithheld: isRowWithheld })
    return rows.map((row) => this.#rows.at(row))
  }

  /** @returns undefined when no such message is pending */
  get(number: number): Delay | undefined {
    const row = this.#rows.find(number)
    return row === undefined ? undefined : this.#rows.at(row)
  }

  /** Whether it is among the newest that became visible. One that was cancelled, or never was, did not. */
  wasDelivered(number: number): boolean {
    return this.#delivered.has(number)
  }

  /** How many of a topic are pending. */
  count(topic: TopicId): number {
    return this.#perTopic.get(topic) ?? 0
  }

  /** Those of a topic behind `after`, by number. */
  list({ topicId: topic, after, limit }: DelayPage): Delay[] {
    const found: Delay[] = []
    if (this.count(topic) === 0) return found
    for (let row = this.#rows.from(after + 1); row < this.#rows.end; row += 1) {
      if (found.length === limit) break
      if (this.#rows.isLive(row) && this.#rows.topicOf(row) === topic)
        found.push(this.#rows.at(row))
    }
    return found
  }

  encode(): Uint8Array {
    return encodeDelays({
      delays: this.#pending(),
      size: this.size,
      delivered: this.#delivered.all(),
      deliveredSize: this.#delivered.size,
    })
  }

  /**
   * Replaces all by a snapshot. The bytes of its records are not added to the live bytes: the snapshot of those, of the
   * same position, has counted them.
   * @throws MqError `newer_format`, AssertionError for malformed bytes; then nothing has changed
   */
  restore(bytes: Uint8Array): void {
    const rows = new DelayRows(this.#options.leastDead)
    const delivered = new DeliveredNumbers(this.#mostDelivered)
    const perTopic = new Map<TopicId, number>()
    decodeDelays(bytes, {
      delay: (delay) => {
        rows.push(delay)
        perTopic.set(delay.topicId, (perTopic.get(delay.topicId) ?? 0) + 1)
      },
      delivered: (number) => delivered.add(number),
    })
    this.#rows = rows
    this.#heap = new DueHeap(rows)
    this.#heap.rebuild()
    this.#delivered = delivered
    this.#perTopic = perTopic
  }

  *#pending(): Generator<Delay> {
    for (let row = 0; row < this.#rows.end; row += 1)
      if (this.#rows.isLive(row)) yield this.#rows.at(row)
  }

  #add(record: RecordView): void {
    const { offset: number, topicId, partition, position, length: bytes } = record
    const dueAt = dueTimeOf(record)
    this.#heap.push(this.#rows.push({ number, topicId, partition, position, bytes, dueAt }))
    this.#perTopic.set(topicId, this.count(topicId) + 1)
    this.#countLive(position, bytes)
    this.#sweep()
  }

  #repoint({ offset: number, position }: RecordView): void {
    const row = this.#rows.find(number)
    if (row === undefined) return
    const { position: before, bytes } = this.#rows.at(row)
    this.#countLive(before, -bytes)
    this.#countLive(position, bytes)
    this.#rows.setPosition(row, position)
  }

  /** A message became visible; it may be one that waited here. */
  #settle(record: RecordView): void {
    const source = decodeSource(sourceOf(record))
    if (source.cause !== 'due') return
    const row = this.#rows.find(source.settles)
    if (row === undefined) return
    this.#remove(row)
    this.#delivered.add(source.settles)
  }

  #change({ number, dueAt }: HoldChange): void {
    const row = this.#rows.find(number)
    if (row === undefined) return
    if (dueAt === undefined) return this.#remove(row)
    this.#rows.setDueAt(row, dueAt)
    this.#heap.update(row)
  }

  #remove(row: Row): void {
    this.#letGo(row)
    this.#heap.remove(row)
    this.#sweep()
  }

  #letGo(row: Row): void {
    const { topicId, position, bytes } = this.#rows.at(row)
    const left = this.count(topicId) - 1
    if (left === 0) this.#perTopic.delete(topicId)
    else this.#perTopic.set(topicId, left)
    this.#countLive(position, -bytes)
    this.#rows.remove(row)
  }

  #forgetTopic(topic: TopicId): void {
    if (this.count(topic) === 0) return
    for (let row = 0; row < this.#rows.end; row += 1)
      if (this.#rows.isLive(row) && this.#rows.topicOf(row) === topic) this.#letGo(row)
    // Many at once: what is left is put in order anew.
    this.#rows.sweep(Number.POSITIVE_INFINITY, () => undefined)
    this.#heap.rebuild()
  }

  #sweep(): void {
    this.#rows.sweep(stepsPerChange, (row) => this.#heap.renamed(row))
  }

  #countLive(position: LogPosition, bytes: number): void {
    const { live } = this.#options
    live.add(live.numberAt(position), bytes)
  }
}

/** How many rows are swept for each that comes or goes: so many that a sweep ends before many more are dead. */
const stepsPerChange = 16

/** The source of a record that has one: its last section, of fixed length. */
function sourceOf(record: RecordView): Uint8Array {
  const bodyStart = record.end - record.bodyLength
  return record.bytes.subarray(bodyStart - sourceBytes, bodyStart)
}
