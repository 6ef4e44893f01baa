import { assert } from '@popmq/kit'
import { formatMessageId, messageIdBytes, type MqError } from '@popmq/protocol'
import type { Receipt, SendResult } from '../api/outgoing-message.ts'
import type { PlacedRecord, RecordOwner } from './run.ts'

/** A receipt whose id is written out only when it is asked for. */
class BrokerReceipt implements Receipt {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly appendedAt: number
  readonly acks: Receipt['acks']
  readonly duplicate: boolean
  readonly #ids: Uint8Array
  readonly #slot: number

  constructor(placed: PlacedRecord, ids: Uint8Array, slot: number) {
    this.topic = placed.topic
    this.partition = placed.partition
    this.offset = placed.offset
    this.appendedAt = placed.appendedAt
    this.acks = placed.level
    this.duplicate = placed.isDuplicate
    this.#ids = ids
    this.#slot = slot
  }

  get id(): string {
    return formatMessageId(idAt(this.#ids, this.#slot))
  }

  /** With the id, which is no field of its own. */
  toJSON(): Receipt {
    const { topic, partition, offset, id, appendedAt, acks, duplicate } = this
    return { topic, partition, offset, id, appendedAt, acks, duplicate }
  }
}

/** The 16 bytes of one id of many. */
function idAt(ids: Uint8Array, slot: number): Uint8Array {
  return ids.subarray(slot * messageIdBytes, (slot + 1) * messageIdBytes)
}

/** The messages of one call. Gathers what becomes of each, and tells once when all are settled. */
export class Submission implements RecordOwner {
  /** 16 bytes for each message. */
  readonly ids: Uint8Array
  readonly #done: () => void
  readonly #receipts: (BrokerReceipt | undefined)[]
  readonly #errors = new Map<number, MqError>()
  #unsettled: number

  /** `ids` has 16 bytes for each message; `done` is called once when all are settled, never when there are none. */
  constructor(ids: Uint8Array, done: () => void) {
    this.ids = ids
    this.#done = done
    this.#unsettled = ids.length / messageIdBytes
    // Array.from would call back for each.
    this.#receipts = []
    for (let slot = 0; slot < this.#unsettled; slot += 1) this.#receipts.push(undefined)
  }

  acked(slot: number, placed: PlacedRecord): void {
    this.#receipts[slot] = new BrokerReceipt(placed, this.ids, slot)
    this.#settledOne()
  }

  failed(slot: number, error: MqError): void {
    assert(this.#receipts[slot] === undefined, 'a message is settled once')
    this.#errors.set(slot, error)
    this.#settledOne()
  }

  /** Bytes of the id of one message. */
  id(slot: number): Uint8Array {
    return idAt(this.ids, slot)
  }

  get count(): number {
    return this.#receipts.length
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
    return this.#receipts.map((receipt) => {
      assert(receipt !== undefined, 'receipts are asked for when every message is acknowledged')
      return receipt
    })
  }

  /** In the order of the call. Once all are settled. */
  results(): SendResult[] {
    return this.#receipts.map((receipt, slot) => {
      if (receipt !== undefined) return { receipt }
      const error = this.#errors.get(slot)
      assert(error !== undefined, 'results are asked for when every message is settled')
      return { error }
    })
  }

  #settledOne(): void {
    this.#unsettled -= 1
    assert(this.#unsettled >= 0, 'a message is settled once')
    if (this.#unsettled === 0) this.#done()
  }
}
