import { Backoff, present, sleep, type Timer } from '@popmq/kit'
import { asMqError, limits, MqError } from '@popmq/protocol'
import type { PoppedMessage, Settled } from './api/pop-consumer.ts'
import type { Worker, WorkerState, WorkerStats, WorkHandler } from './api/worker.ts'
import { type Work, type WorkAsk, WorkBoard } from './core/work-board.ts'
import { checkRange } from './options.ts'
import { popRanges } from './pop-consumer-config.ts'
import type { PopConsumerDeps } from './pop-consumer.ts'
import { PopGroup } from './pop-group.ts'
import { Popping } from './popping.ts'
import { Progress } from './progress.ts'
import { closed } from './reading.ts'
import { Settler } from './settler.ts'
import { HandlerContext } from './work-context.ts'
import { WorkSettling } from './work-settling.ts'
import type { WorkerConfig } from './worker-config.ts'

export interface WorkerDeps extends PopConsumerDeps {
  readonly handler: WorkHandler
}

const pausePerFailure = { firstMs: 100, mostMs: 10_000 }
const openMs = 20_000
const closeWithinMs = 30_000

/** Carries out what the work board decides: pops, runs handlers, extends their leases, settles what they did. */
export class HandlingWorker implements Worker {
  readonly #config: WorkerConfig
  readonly #deps: WorkerDeps
  readonly #onClosed: () => void
  readonly #group: PopGroup
  readonly #settler: Settler
  readonly #popping: Popping
  readonly #settling: WorkSettling
  readonly #board: WorkBoard
  readonly #progress: Progress
  readonly #contexts = new Map<Work, HandlerContext>()
  readonly #draining = new AbortController()
  #timer: Timer | undefined
  #timerAt = Number.POSITIVE_INFINITY
  #state: WorkerState = 'running'
  /** How long messages are hidden. */
  #invisibleMs = 1
  #begun = 0
  #lastError: MqError | undefined
  /** When handlers are waited for no longer, on the monotonic clock. */
  #endsAt = Number.POSITIVE_INFINITY
  #closing: Promise<void> | undefined

  constructor(config: WorkerConfig, deps: WorkerDeps, onClosed: () => void) {
    this.#config = config
    this.#deps = deps
    this.#onClosed = onClosed
    const { settleWithinMs } = config
    this.#progress = new Progress(deps.clock)
    this.#board = new WorkBoard({ ...config, mostPerAsk: limits.messagesPerPop })
    this.#group = new PopGroup(config, deps)
    this.#settler = new Settler({ ...deps, group: this.#group })
    this.#popping = new Popping(config, { ...deps, group: this.#group, settler: this.#settler })
    const told = (error: MqError, message: PoppedMessage): void => this.#told(error, message)
    this.#settling = new WorkSettling({ ...deps, settler: this.#settler, settleWithinMs, told })
    void this.#popForever()
  }

  stats(): WorkerStats {
    const { running, waiting } = this.#board
    const { counts } = this.#settling
    const [state, begun, lastError] = [this.#state, this.#begun, this.#lastError]
    return { state, running, waiting, begun, ...counts, lastError }
  }

  close({ withinMs = closeWithinMs }: { readonly withinMs?: number } = {}): Promise<void> {
    checkRange('withinMs', withinMs, [0, 3_600_000])
    this.#endsAt = Math.min(this.#endsAt, this.#deps.clock.monotonic() + withinMs)
    this.#progress.made()
    this.#closing ??= this.#close()
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #popForever(): Promise<void> {
    const backoff = new Backoff(this.#deps.random, pausePerFailure)
    const { signal } = this.#draining
    while (!signal.aborted) {
      const ask = this.#board.ask()
      if (ask === undefined) await this.#progress.wait(Number.POSITIVE_INFINITY, signal)
      else if (await this.#pop(ask)) backoff.reset()
      else await sleep(this.#deps.clock, backoff.nextMs(), signal)
    }
  }

  /** @returns whether it did not fail */
  async #pop(ask: WorkAsk): Promise<boolean> {
    const { clock } = this.#deps
    const { signal } = this.#draining
    const { waitMs } = this.#config
    const maxBytes = Math.min(ask.maxBytes, this.#config.maxBytes)
    let messages: readonly PoppedMessage[] = []
    try {
      const opened = await this.#group.open(clock.monotonic() + openMs, signal)
      // Told with each pop: so the leases are known to be of this length.
      const invisibleMs = this.#config.invisibleMs ?? opened.invisibleMs
      this.#invisibleMs = invisibleMs
      messages = await this.#popping.receive({ ...ask, maxBytes, waitMs, invisibleMs, signal })
      return true
    } catch (error) {
      if (!signal.aborted) this.#told(asMqError(error))
      return signal.aborted
    } finally {
      const now = clock.monotonic()
      this.#board.answered(messages, { now, leaseMs: this.#invisibleMs })
      if (messages.length > 0) this.#wakeBy(now + this.#invisibleMs / 2)
      if (signal.aborted) this.#giveBack(this.#board.drain())
      this.#begin()
    }
  }

  #begin(): void {
    for (;;) {
      const work = this.#board.begin(this.#deps.clock.monotonic())
      if (work === undefined) return
      this.#begun += 1
      void this.#run(work)
    }
  }

  async #run(work: Work): Promise<void> {
    const { clock, handler } = this.#deps
    const { message } = work
    const context = new HandlerContext(message.attempt, (ms) => this.#extendOne(work, ms))
    this.#contexts.set(work, context)
    let failure: { readonly thrown: unknown } | undefined
    try {
      await handler(message, context)
    } catch (thrown) {
      failure = { thrown }
    }
    this.#contexts.delete(work)
    const isKept = this.#board.finished(work, clock.monotonic())
    this.#begin()
    if (isKept) {
      if (failure === undefined) await this.#settling.ack(work)
      else await this.#settling.nack(message, failure.thrown)
      this.#board.settled(work)
    }
    this.#progress.made()
  }

  /** Looks at what is due no later than at this time. */
  #wakeBy(at: number): void {
    if (at >= this.#timerAt || this.#state === 'closed') return
    this.#timer?.cancel()
    this.#timerAt = at
    const delayMs = Math.max(1, at - this.#deps.clock.monotonic())
    this.#timer = this.#deps.clock.after(delayMs, () => this.#lookAtLeases())
  }

  #lookAtLeases(): void {
    this.#timerAt = Number.POSITIVE_INFINITY
    const now = this.#deps.clock.monotonic()
    for (const work of this.#board.takeOverdue(now)) {
      this.#contexts.get(work)?.abort(lostLease('it ran out before it could be extended'))
    }
    const due = this.#board.takeExtensions(now)
    if (due.length > 0) void this.#extend(due)
    this.#giveBack(this.#board.takeStale(now))
    this.#rearm()
    this.#progress.made()
  }

  #rearm(): void {
    const { wakesAt } = this.#board
    if (wakesAt !== undefined) this.#wakeBy(wakesAt)
  }

  /** Extends leases of handlers at work. */
  async #extend(works: readonly Work[]): Promise<void> {
    const { clock } = this.#deps
    const invisibleMs = this.#invisibleMs
    const now = clock.monotonic()
    const messages = works.map(({ message }) => message)
    const results = await this.#settling.extend(messages, {
      invisibleMs,
      withinMs: invisibleMs / 2,
    })
    for (const [index, work] of works.entries()) {
      this.#extended(work, present(results[index], 'each handle has a result'), {
        now,
        invisibleMs,
      })
    }
    this.#rearm()
  }

  #extended(
    work: Work,
    { result }: Settled,
    { now, invisibleMs }: { now: number; invisibleMs: number },
  ): void {
    if (result === 'extended') this.#board.extended(work, { now, leaseMs: invisibleMs })
    else if (result === 'failed') this.#board.notExtended(work, this.#deps.clock.monotonic())
    else if (this.#board.lose(work)) {
      this.#contexts.get(work)?.abort(lostLease(`the broker says ${result}`))
      this.#settling.lost(work.message, `the broker says ${result}`)
    }
  }

  /** What a handler asks for. @throws MqError `invalid_request` */
  async #extendOne(work: Work, ms: number | undefined): Promise<Settled> {
    if (ms !== undefined) checkRange('invisibleMs', ms, popRanges.invisibleMs)
    const invisibleMs = ms ?? this.#invisibleMs
    const now = this.#deps.clock.monotonic()
    const withinMs = this.#config.settleWithinMs
    const [settled] = await this.#settling.extend([work.message], { invisibleMs, withinMs })
    const told = present(settled, 'each handle has a result')
    if (this.#contexts.has(work)) this.#extended(work, told, { now, invisibleMs })
    this.#rearm()
    return told
  }

  #giveBack(works: readonly Work[]): void {
    void this.#settling.release(works.map(({ message }) => message))
  }

  #told(error: MqError, message?: PoppedMessage): void {
    this.#lastError = error
    const { onError } = this.#config
    // In a turn of its own: what it throws is the user's.
    if (onError !== undefined) queueMicrotask(() => onError(error, message))
  }

  async #close(): Promise<void> {
    const { clock } = this.#deps
    this.#state = 'draining'
    this.#draining.abort()
    this.#giveBack(this.#board.drain())
    for (;;) {
      const leftMs = this.#endsAt - clock.monotonic()
      if (this.#board.size === 0 || leftMs <= 0) break
      await this.#progress.wait(leftMs, undefined)
    }
    for (const context of this.#contexts.values()) context.abort(closed())
    this.#giveBack(this.#board.abandon())
    await this.#popping.stop()
    await this.#settler.idle()
    this.#state = 'closed'
    this.#timer?.cancel()
    this.#group.close()
    this.#onClosed()
  }
}

function lostLease(why: string): MqError {
  return new MqError('lease_lost', `the lease of the message is over: ${why}`)
}
