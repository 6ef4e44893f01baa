import type { GroupEvent } from '../../group-history.ts'
import { GroupBook, HistoryBook, partitionName } from '../../history.ts'

type Without<E, K extends PropertyKey> = E extends unknown ? Omit<E, K> : never
type Step = Without<GroupEvent, 'partition'>

const partition = partitionName(7, 0)

/** For tests: what happened to partition 0 of topic 7, written by hand. */
export class SampleGroup {
  readonly book = new HistoryBook()
  readonly group: GroupBook

  constructor(from: 'earliest' | 'latest' = 'earliest') {
    this.group = new GroupBook(from)
    this.book.group = this.group
  }

  told(member: string, epoch: number, offset: number): this {
    return this.#add({ kind: 'told', member, epoch, offset, asked: this.group.place, isNew: true })
  }

  /** As `told`, of what the member has already. */
  toldAgain(member: string, epoch: number, offset: number): this {
    return this.#add({ kind: 'told', member, epoch, offset, asked: this.group.place, isNew: false })
  }

  committed(member: string, epoch: number, offset: number): this {
    return this.#add({ kind: 'committed', member, epoch, offset, asked: this.group.place })
  }

  /** Committed too, but asked for at the very beginning. */
  committedLate(member: string, epoch: number, offset: number): this {
    return this.#add({ kind: 'committed', member, epoch, offset, asked: 1 })
  }

  handed(member: string, epoch: number, ...offsets: number[]): this {
    return this.#add({ kind: 'handed', member, epoch, offsets })
  }

  released(member: string, epoch: number): this {
    return this.#add({ kind: 'released', member, epoch })
  }

  reset(offset: number): this {
    return this.#add({ kind: 'reset', offset, done: this.group.place + 1 })
  }

  /** What lies there at the end, and what the group's progress is. */
  left(high: number, progress: number): this {
    const messages = Array.from({ length: high }, (_, offset) => {
      return { offset, value: `${offset}`, appendedAt: offset }
    })
    this.book.final.set(partition, { low: 0, high, messages })
    this.group.progress.set(partition, progress)
    return this
  }

  #add(step: Step): this {
    this.group.events.push({ ...step, partition })
    return this
  }
}
