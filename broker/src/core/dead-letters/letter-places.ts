import { present } from '@popmq/kit'
import { type Offset, type PartitionKey, type TopicId, topicOfKey } from '@popmq/protocol'
import type { Letter } from './letter-rows.ts'

/** How many messages of a partition are dead letters of a group. */
export interface PlaceCounts {
  readonly open: number
  /** Discarded, or gone when their retention was over: nothing is delivered of them, unless a reset opens them again. */
  readonly left: number
}

interface Place {
  open: number
  discarded: number
  /** Letters that are gone and whose message no reset can open again. */
  goneForGood: number
  /** The offsets of the other messages whose letters are gone, in no order. */
  gone: number[]
  /** Below it the partition keeps no message, as far as horizons told since the first letter. */
  low: number
}

/**
 * The letters of a group by the partition of their first copy. A letter counts as open or as left until a reset opens its
 * message again. So that a reset finds them too, the offsets of letters that are gone are kept, 8 bytes each, as long as
 * the partition keeps the messages: retention of messages is mostly shorter than that of letters, and then there are none.
 *
 * Snapshot: rows of key, low, open, discarded, gone for good, gone offsets …
 */
export class LetterPlaces {
  readonly #places = new Map<PartitionKey, Place>()

  counts(key: PartitionKey): PlaceCounts {
    const place = this.#places.get(key)
    if (place === undefined) return { open: 0, left: 0 }
    const { open, discarded, goneForGood, gone } = place
    return { open, left: discarded + goneForGood + gone.length }
  }

  /** The partitions that any letter came from. */
  keys(): IterableIterator<PartitionKey> {
    return this.#places.keys()
  }

  opened(key: PartitionKey): void {
    const place = this.#places.get(key)
    if (place !== undefined) place.open += 1
    else this.#places.set(key, { open: 1, discarded: 0, goneForGood: 0, gone: [], low: 0 })
  }

  changed(key: PartitionKey, to: 'open' | 'discarded'): void {
    const place = this.#place(key)
    place.open += to === 'open' ? 1 : -1
    place.discarded += to === 'open' ? -1 : 1
  }

  /** The letter's message is delivered again: it leaves all counts. */
  reopened(key: PartitionKey, from: 'open' | 'discarded'): void {
    const place = this.#place(key)
    if (from === 'open') place.open -= 1
    else place.discarded -= 1
  }

  /** The letter is gone; it is left from now on. */
  expired({ key, offset: at }: Pick<Letter, 'key' | 'offset'>, from: 'open' | 'discarded'): void {
    this.reopened(key, from)
    const place = this.#place(key)
    if (at < place.low) place.goneForGood += 1
    else place.gone.push(at)
  }

  /** Messages from `from` on are delivered again: those whose letters are gone leave the counts too. */
  reset(key: PartitionKey, from: Offset): void {
    const place = this.#places.get(key)
    if (place !== undefined) place.gone = place.gone.filter((at) => at < from)
  }

  /** The partition keeps nothing below `low`. */
  horizon(key: PartitionKey, low: Offset): void {
    const place = this.#places.get(key)
    if (place === undefined || low <= place.low) return
    place.low = low
    const kept = place.gone.filter((at) => at >= low)
    place.goneForGood += place.gone.length - kept.length
    place.gone = kept
  }

  /** @returns whether any letter came from the topic */
  forgetTopic(topic: TopicId): boolean {
    const keys = [...this.#places.keys()].filter((key) => topicOfKey(key) === topic)
    for (const key of keys) this.#places.delete(key)
    return keys.length > 0
  }

  encode(): readonly PlaceSnapshot[] {
    return [...this.#places].map(([key, { low, open, discarded, goneForGood, gone }]) => {
      return [key, low, open, discarded, goneForGood, ...gone]
    })
  }

  static restore(rows: readonly PlaceSnapshot[]): LetterPlaces {
    const places = new LetterPlaces()
    for (const [key, low, open, discarded, goneForGood, ...gone] of rows)
      places.#places.set(key as PartitionKey, { low, open, discarded, goneForGood, gone })
    return places
  }

  #place(key: PartitionKey): Place {
    return present(this.#places.get(key), 'a letter that counts has its place')
  }
}

/** Key, low, open, discarded, gone for good, gone offsets …. */
export type PlaceSnapshot = readonly [number, number, number, number, number, ...gone: number[]]
