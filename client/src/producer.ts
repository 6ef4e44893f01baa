import { type Deferred, deferred, sleep } from '@popmq/kit'
import { asMqError, formatMessageId, MessageIds, MqError } from '@popmq/protocol'
import { abortable, throwIfAborted } from './aborting.ts'
import type { OutgoingMessage, Receipt, SendResult } from './api/outgoing-message.ts'
import type { PostedMessage, Producer, ProducerStats, SendOptions } from './api/producer.ts'
import { Submission } from './core/submission.ts'
import type { DeliveryDeps } from './delivery.ts'
import { MessageIntake } from './message-intake.ts'
import type { ProducerConfig } from './producer-config.ts'

/** A wait for all that was unsettled when it began. */
interface Flush {
  readonly waitsFor: Set<Submission>
  readonly done: Deferred<void>
}

const closeWithinMs = 10_000

/** What a user holds: turns calls into submissions and settles their promises. */
export class BatchingProducer implements Producer {
  readonly #config: ProducerConfig
  readonly #deps: DeliveryDeps
  readonly #onClosed: () => void
  readonly #ids: MessageIds
  readonly #intake: MessageIntake
  readonly #unsettled = new Set<Submission>()
  readonly #flushes = new Set<Flush>()
  #messagesAcked = 0
  #messagesFailed = 0
  #closing: Promise<void> | undefined

  constructor(config: ProducerConfig, deps: DeliveryDeps, onClosed: () => void) {
    this.#config = config
    this.#deps = deps
    this.#onClosed = onClosed
    this.#ids = new MessageIds(deps.random)
    this.#intake = new MessageIntake(config, deps)
  }

  async send(message: OutgoingMessage, { signal }: SendOptions = {}): Promise<Receipt> {
    const submission = await this.#submit([message], signal)
    if (submission.firstError !== undefined) throw submission.firstError
    // A submission of one message that did not fail has one receipt.
    return submission.receipts()[0]!
  }

  async sendBatch(
    messages: readonly OutgoingMessage[],
    { signal }: SendOptions = {},
  ): Promise<Receipt[]> {
    const submission = await this.#submit(messages, signal)
    const { firstError, failures, count } = submission
    if (firstError === undefined) return submission.receipts()
    const summary = `${failures} of ${count} messages failed, the first one: ${firstError.what}`
    const facts = { failed: failures, acked: count - failures }
    throw new MqError(firstError.name, summary, { facts, cause: firstError })
  }

  async sendBatchSettled(
    messages: readonly OutgoingMessage[],
    { signal }: SendOptions = {},
  ): Promise<SendResult[]> {
    const submission = await this.#submit(messages, signal)
    return submission.results()
  }

  post(message: OutgoingMessage): void {
    const topic = String(message?.topic)
    if (this.#closing !== undefined) return this.#report(closed(), { topic, id: '' })
    const submission = this.#submission(1, () => {
      const error = submission.firstError
      if (error !== undefined) this.#report(error, { topic, id: formatMessageId(submission.id(0)) })
    })
    this.#intake.take({ messages: [message], submission, onFull: 'reject' })
  }

  async flush({ signal }: SendOptions = {}): Promise<void> {
    throwIfAborted(signal)
    if (this.#unsettled.size === 0) return
    const flush = { waitsFor: new Set(this.#unsettled), done: deferred() }
    this.#flushes.add(flush)
    this.#intake.delivery.isFlushing = true
    this.#intake.delivery.schedule()
    await abortable(flush.done.promise, signal)
  }

  stats(): ProducerStats {
    return {
      messagesAcked: this.#messagesAcked,
      messagesFailed: this.#messagesFailed,
      bufferedBytes: this.#intake.bufferedBytes,
      ...this.#intake.delivery.stats(),
    }
  }

  close({ withinMs = closeWithinMs }: { readonly withinMs?: number } = {}): Promise<void> {
    this.#closing ??= this.#close(withinMs)
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #close(withinMs: number): Promise<void> {
    const flushed = new AbortController()
    const flushing = this.flush().then(() => flushed.abort())
    await Promise.race([flushing, sleep(this.#deps.clock, withinMs, flushed.signal)])
    flushed.abort()
    this.#intake.stop(closed())
    this.#onClosed()
  }

  /** Resolves when all messages are settled. @throws MqError `closed`, `aborted` */
  async #submit(
    messages: readonly OutgoingMessage[],
    signal: AbortSignal | undefined,
  ): Promise<Submission> {
    if (this.#closing !== undefined) throw closed()
    throwIfAborted(signal)
    const settled = deferred<void>()
    const submission = this.#submission(messages.length, settled.resolve)
    if (messages.length === 0) return submission
    const { onFull } = this.#config
    this.#intake.take({ messages, submission, onFull })
    try {
      await abortable(settled.promise, signal)
    } catch (error) {
      this.#intake.end(submission, asMqError(error))
      throw error
    }
    return submission
  }

  #submission(count: number, settled: () => void): Submission {
    const { clock } = this.#deps
    const ids = this.#ids.take(count, clock.now())
    const expiresAt = clock.monotonic() + this.#config.deliverWithinMs
    const submission = new Submission({ ids, expiresAt }, () => {
      this.#unsettled.delete(submission)
      this.#messagesAcked += submission.count - submission.failures
      this.#messagesFailed += submission.failures
      settled()
      this.#endFlushes(submission)
    })
    if (count > 0) this.#unsettled.add(submission)
    return submission
  }

  #endFlushes(settled: Submission): void {
    for (const flush of this.#flushes) {
      if (!flush.waitsFor.delete(settled) || flush.waitsFor.size > 0) continue
      this.#flushes.delete(flush)
      flush.done.resolve()
    }
    this.#intake.delivery.isFlushing = this.#flushes.size > 0
  }

  #report(error: MqError, message: PostedMessage): void {
    const { onError } = this.#config
    // In a turn of its own: what it throws is the user's, and must not come between the producer's steps.
    if (onError !== undefined) queueMicrotask(() => onError(error, message))
  }
}

function closed(): MqError {
  return new MqError('closed', 'the producer is closed')
}
