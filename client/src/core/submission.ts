import { assert } from '@popmq/kit'
import { formatMessageId, messageIdBytes, type MqError } from '@popmq/protocol'
import type { Receipt, SendResult } from '../api/outgoing-message.ts'
import { delayIdOf } from './delay.ts'
import type { RecordOwner, RecordPlace } from './run.ts'

/** A receipt whose id is written out only when it is asked for. */
class BrokerReceipt implements Receipt {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly appendedAt: number
  readonly acks: Receipt['acks']
  readonly duplicate: boolean
  /** Not there on others: receipts are compared and printed by their fields. */
  declare readonly delayId?: string
  readonly #submission: Submission
  readonly #slot: number

  constructor(submission: Submission, slot: number, { place, offset }: Placed) {
    this.topic = place.topic
    this.partition = place.partition
    const delayId = delayIdOf(place.set, offset)
    this.offset = delayId === undefined ? offset : -1
    if (delayId !== undefined) this.delayId = delayId
    this.appendedAt = place.appendedAt
    this.acks = place.level
    this.duplicate = place.isDuplicate
    this.#submission = submission
    this.#slot = slot
  }

  get id(): string {
    return formatMessageId(this.#submission.id(this.#slot))
  }

  /** With the id, which is no field of its own. */
  toJSON(): Receipt {
    const { topic, partition, offset, delayId, id, appendedAt, acks, duplicate } = this
    const ofDelay = delayId === undefined ? {} : { delayId }
    return { topic, partition, offset, ...ofDelay, id, appendedAt, acks, duplicate }
  }
}

interface Placed {
  readonly place: RecordPlace
  readonly offset: number
}

/**
 * The messages of one call. Gathers what becomes of each, and tells once when all are settled. Receipts are made only
 * then, out of what is noted here in two words each: made one by one they would live long enough to be moved about.
 */
export class Submission implements RecordOwner {
  readonly ids: Uint8Array
  readonly expiresAt: number
  readonly #done: () => void
  readonly #places: (RecordPlace | undefined)[] = []
  readonly #offsets: number[] = []
  readonly #errors = new Map<number, MqError>()
  #unsettled: number

  /** `ids` has 16 bytes for each message; `done` is called once when all are settled, never when there are none. */
  constructor({ ids, expiresAt }: Pick<RecordOwner, 'ids' | 'expiresAt'>, done: () => void) {
    this.ids = ids
    this.expiresAt = expiresAt
    this.#done = done
    this.#unsettled = ids.length / messageIdBytes
    // Array.from would call back for each.
    for (let slot = 0; slot < this.#unsettled; slot += 1) {
      this.#places.push(undefined)
      this.#offsets.push(0)
    }
  }

  acked(slot: number, place: RecordPlace, offset: number): void {
    this.#places[slot] = place
    this.#offsets[slot] = offset
    this.#settledOne()
  }

  failed(slot: number, error: MqError): void {
    assert(this.#places[slot] === undefined, 'a message is settled once')
    this.#errors.set(slot, error)
    this.#settledOne()
  }

  /** Bytes of the id of one message. */
  id(slot: number): Uint8Array {
    return this.ids.subarray(slot * messageIdBytes, (slot + 1) * messageIdBytes)
  }

  get count(): number {
    return this.#places.length
  }

  get failures(): number {
    return this.#errors.size
  }

  /** The error of the first message that failed, in the order of the call. */
  get firstError(): MqError | undefined {
    let first = Number.POSITIVE_INFINITY
    for (const slot of this.#errors.keys()) first = Math.min(first, slot)
    return this.#errors.get(first)
  }

  /** In the order of the call. Once all are settled, and none failed. */
  receipts(): Receipt[] {
    return this.#places.map((place, slot) => {
      assert(place !== undefined, 'receipts are asked for when every message is acknowledged')
      return this.#receipt(slot, place)
    })
  }

  /** In the order of the call. Once all are settled. */
  results(): SendResult[] {
    return this.#places.map((place, slot) => {
      if (place !== undefined) return { receipt: this.#receipt(slot, place) }
      const error = this.#errors.get(slot)
      assert(error !== undefined, 'results are asked for when every message is settled')
      return { error }
    })
  }

  #receipt(slot: number, place: RecordPlace): Receipt {
    return new BrokerReceipt(this, slot, { place, offset: this.#offsets[slot] ?? 0 })
  }

  #settledOne(): void {
    this.#unsettled -= 1
    assert(this.#unsettled >= 0, 'a message is settled once')
    if (this.#unsettled === 0) this.#done()
  }
}
