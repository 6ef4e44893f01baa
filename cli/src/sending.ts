import type { OutgoingMessage, Producer, Receipt } from '@popmq/client'
import { asMqError, type ErrorName, type MqError } from '@popmq/protocol'

/** These concern every message of the topic: going on would only repeat them. */
const hopeless: readonly ErrorName[] = [
  'topic_not_found',
  'partition_not_found',
  'quorum_unavailable',
  'producer_fenced',
  'invalid_name',
  'closed',
]

/** What may be under way: so many batches, and so many characters of input unless it is a single batch. */
const mostBatches = 32
const mostChars = 32 * 1_048_576

/** Sends batches one behind the other, a bounded number under way, and counts what became of them. */
export class Sending {
  readonly #producer: Producer
  readonly #underWay = new Set<Promise<void>>()
  #charsUnderWay = 0
  #sent = 0
  #acked = 0
  #failed = 0
  #firstError: MqError | undefined
  #isHopeless = false
  #lastReceipt: Receipt | undefined

  constructor(producer: Producer) {
    this.#producer = producer
  }

  get counts(): { readonly sent: number; readonly acked: number; readonly failed: number } {
    return { sent: this.#sent, acked: this.#acked, failed: this.#failed }
  }

  get firstError(): MqError | undefined {
    return this.#firstError
  }

  /** Whether what failed would fail for every further message, too. */
  get isHopeless(): boolean {
    return this.#isHopeless
  }

  get lastReceipt(): Receipt | undefined {
    return this.#lastReceipt
  }

  /** `chars` is the length of its input. Resolves when there is room for more: not when this batch is acknowledged. */
  async send(messages: readonly OutgoingMessage[], chars: number): Promise<void> {
    this.#sent += messages.length
    this.#charsUnderWay += chars
    const batch = this.#settle(messages).then(() => {
      this.#charsUnderWay -= chars
      this.#underWay.delete(batch)
    })
    this.#underWay.add(batch)
    while (this.#underWay.size >= mostBatches || this.#charsUnderWay > mostChars)
      await Promise.race(this.#underWay)
  }

  /** Resolves when every batch is settled. */
  async drain(): Promise<void> {
    await Promise.all(this.#underWay)
  }

  /** Never rejects: failures are counted. */
  async #settle(messages: readonly OutgoingMessage[]): Promise<void> {
    try {
      for (const { receipt, error } of await this.#producer.sendBatchSettled(messages)) {
        if (receipt === undefined) this.#fail(error, 1)
        else this.#acked += 1
        this.#lastReceipt = receipt ?? this.#lastReceipt
      }
    } catch (error) {
      this.#fail(asMqError(error), messages.length)
    }
  }

  #fail(error: MqError, count: number): void {
    this.#failed += count
    this.#firstError ??= error
    this.#isHopeless ||= hopeless.includes(error.name)
  }
}
