import {
  isHeld,
  isHeldNumber,
  type LogPosition,
  marks,
  type Offset,
  type PartitionKey,
  recordKinds,
  type RecordView,
  topicOfKey,
} from '@popmq/protocol'
import type { ConsumeQueues } from './consume-queues.ts'
import { decodeHorizon } from './horizon.ts'
import type { Keepers } from './kept-entries.ts'

interface Held {
  readonly position: LogPosition
  readonly length: number
}

/** What a snapshot of the hands says. */
export interface HandsState {
  readonly taken: Map<PartitionKey, Set<Offset>>
  readonly held: Map<number, Held>
}

/**
 * For tests: what groups have in hand, as a view of the log. `leased` records of a sample log name the messages that are
 * taken, `settled` ones those that are done with; their bodies are those of horizons. Held records are held until they
 * are settled, too.
 */
export class SampleHands implements Keepers {
  readonly #taken: Map<PartitionKey, Set<Offset>>
  readonly #held: Map<number, Held>

  constructor({ taken, held }: HandsState = { taken: new Map(), held: new Map() }) {
    this.#taken = new Map([...taken].map(([key, offsets]) => [key, new Set(offsets)]))
    this.#held = new Map(held)
  }

  /** A copy: it stays as it is. */
  get state(): HandsState {
    const copy = new SampleHands({ taken: this.#taken, held: this.#held })
    return { taken: copy.#taken, held: copy.#held }
  }

  heldBelow(key: PartitionKey, low: Offset): Offset[] {
    const below = [...(this.#taken.get(key) ?? [])].filter((offset) => offset < low)
    return below.toSorted((a, b) => a - b)
  }

  pointsAt(number: number, position: LogPosition): boolean {
    return this.#held.get(number)?.position === position
  }

  /** Comes after the queues have applied the record. */
  apply(record: RecordView, queues: ConsumeQueues): void {
    if (isHeld(record.kind)) return this.#hold(record, queues.live)
    if (record.kind === recordKinds.topic_gone) {
      for (const key of this.#taken.keys())
        if (topicOfKey(key) === record.topicId) this.#taken.delete(key)
    }
    if (record.kind === recordKinds.leased) {
      for (const { key, low } of decodeHorizon(record.body)) {
        const taken = this.#taken.get(key)
        if (taken === undefined) this.#taken.set(key, new Set([low]))
        else taken.add(low)
      }
    }
    if (record.kind !== recordKinds.settled) return
    for (const { key, low } of decodeHorizon(record.body)) {
      if (isHeldNumber(low)) this.#letGo(low, queues.live)
      else if (this.#taken.get(key)?.delete(low) === true) queues.letGo(key, low)
    }
  }

  #hold({ offset, position, length, marks: set }: RecordView, live: ConsumeQueues['live']): void {
    if ((set & marks.moved) !== 0 && !this.#held.has(offset)) return
    this.#letGo(offset, live)
    this.#held.set(offset, { position, length })
    live.add(live.numberAt(position), length)
  }

  #letGo(number: number, live: ConsumeQueues['live']): void {
    const held = this.#held.get(number)
    if (held === undefined) return
    live.add(live.numberAt(held.position), -held.length)
    this.#held.delete(number)
  }
}
