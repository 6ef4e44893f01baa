import { asMqError, type MqError } from '@popmq/protocol'
import type { PopConsumer, PoppedMessage, Settled } from '@popmq/client'
import type { Invocation } from '../invocation.ts'

/** What becomes of a message that was printed. */
export type Verdict =
  | { readonly kind: 'ack' }
  | { readonly kind: 'nack'; readonly error: string; readonly delayMs?: number }
  | { readonly kind: 'hold' }

/** What a broker answers when it did as asked. */
const wanted: Readonly<Record<Verdict['kind'], readonly Settled['result'][]>> = {
  ack: ['acked'],
  nack: ['retrying', 'dead'],
  hold: [],
}
/** These were lost to another consumer, or settled by one: that is no failure of ours. */
const overtaken: readonly Settled['result'][] = ['already', 'expired']

/**
 * Settles messages only after their lines were taken by whoever reads stdout; what was popped and not printed is released.
 * Settling runs beside the next batch; the one after it waits for it.
 */
export class PrintedSettling {
  readonly #invocation: Invocation
  readonly #consumer: PopConsumer
  readonly #verdict: Verdict
  #underWay: Promise<void> = Promise.resolve()
  /** Why nothing can be settled any more. */
  error: MqError | undefined

  constructor(invocation: Invocation, consumer: PopConsumer, verdict: Verdict) {
    this.#invocation = invocation
    this.#consumer = consumer
    this.#verdict = verdict
  }

  /** Prints a batch. `printing` tells how many of its messages were printed. */
  async print(messages: readonly PoppedMessage[], printing: () => Promise<number>): Promise<void> {
    let printed = 0
    try {
      const count = await printing()
      // A reader that went away may have taken nothing of it.
      if (await this.#invocation.output.flush()) printed = count
    } finally {
      await this.#underWay
      this.#underWay = this.#settle(messages.slice(0, printed), messages.slice(printed))
    }
  }

  settled(): Promise<void> {
    return this.#underWay
  }

  throwError(): void {
    if (this.error !== undefined) throw this.error
  }

  /** Never rejects. */
  async #settle(
    printed: readonly PoppedMessage[],
    unprinted: readonly PoppedMessage[],
  ): Promise<void> {
    try {
      if (printed.length > 0) this.#judge(await this.#tell(printed))
      if (unprinted.length > 0) await this.#consumer.release(unprinted)
    } catch (error) {
      this.error ??= asMqError(error)
    }
  }

  #tell(messages: readonly PoppedMessage[]): Promise<readonly Settled[]> {
    const verdict = this.#verdict
    switch (verdict.kind) {
      case 'ack':
        return this.#consumer.ack(messages)
      case 'nack': {
        const { error, delayMs } = verdict
        return this.#consumer.nack(messages, {
          error,
          ...(delayMs === undefined ? {} : { delayMs }),
        })
      }
      case 'hold':
        return Promise.resolve([])
    }
  }

  /** What could not be settled is told; it comes again. */
  #judge(results: readonly Settled[]): void {
    const { kind } = this.#verdict
    const counts: Record<string, number> = {}
    for (const { result } of results) {
      if (wanted[kind].includes(result)) continue
      counts[result] = (counts[result] ?? 0) + 1
      if (!overtaken.includes(result)) this.#invocation.fail()
    }
    if (Object.keys(counts).length > 0) this.#invocation.log('warn').warn(`not_${kind}ed`, counts)
  }
}
