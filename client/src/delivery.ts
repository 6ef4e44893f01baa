import { Backoff, type Clock, type Random, sleep, type Timer } from '@popmq/kit'
import { asMqError, type Checksum, errorName, MqError, produce, producerId } from '@popmq/protocol'
import { producerOpen, type RunResult, type TopicInfo } from '@popmq/protocol'
import type { ConnectionPool } from './connection-pool.ts'
import type { Coordinators } from './coordinators.ts'
import { Batcher, type BatcherOptions } from './core/batcher.ts'
import type { BatchedMessage, ProduceRequest } from './core/produce-request.ts'
import type { AttemptOutcome } from './core/attempt-verdict.ts'
import type { Run } from './core/run.ts'
import type { RouteCache } from './route-cache.ts'

export interface DeliveryDeps {
  readonly clock: Clock
  readonly random: Random
  readonly crc32: Checksum
  readonly routes: RouteCache
  readonly coordinators: Coordinators
  readonly pool: ConnectionPool
  /** How long one request may go unanswered, in ms. */
  readonly requestTimeoutMs: number
}

export interface DeliveryEvents {
  /** The records of a run were told of their fate. */
  settled(run: Run, error: MqError | undefined): void
  /** Called before requests are gathered: the moment to take in more messages. */
  gathering(): void
  /** Called every now and then while something is unsettled: the moment to end what took too long. */
  swept(now: number): void
  /** Whether messages wait that were not added yet. */
  isWaiting(): boolean
}

const openPause = { firstMs: 50, mostMs: 1_000 }
const openWithinMs = 5_000
/** Bytes of unanswered requests (acks none) that may wait on a connection before more are gathered. */
const untakenBytes = 1_048_576

/** Carries out what the batcher decides: sends its requests, tells it the answers, wakes it in time. */
export class Delivery {
  readonly #deps: DeliveryDeps
  readonly #events: DeliveryEvents
  readonly #batcher: Batcher
  readonly #sweepMs: number
  readonly #unlisten: () => void
  readonly #stopping = new AbortController()
  #isScheduled = false
  #isOpening = false
  #timer: Timer | undefined
  #sweepsAt = 0
  #requests = 0

  constructor(options: BatcherOptions, deps: DeliveryDeps, events: DeliveryEvents) {
    this.#deps = deps
    this.#events = events
    this.#batcher = new Batcher(options, {
      random: deps.random,
      crc32: deps.crc32,
      routes: deps.routes.table,
      settled: (run, error) => events.settled(run, error),
    })
    this.#sweepMs = Math.min(1_000, Math.max(10, options.deliverWithinMs / 20))
    this.#unlisten = deps.routes.listen({
      routesChanged: () => {
        this.#batcher.rerouted()
        this.schedule()
      },
      topicGone: (name) => {
        const what = `topic ${name} was deleted while messages were under way`
        this.#batcher.endTopic(name, new MqError('topic_not_found', what))
      },
    })
  }

  get isIdle(): boolean {
    return this.#batcher.isIdle
  }

  get fencedBy(): MqError | undefined {
    return this.#batcher.fencedBy
  }

  set isFlushing(isFlushing: boolean) {
    this.#batcher.isFlushing = isFlushing
  }

  stats(): { requests: number; resentRuns: number; epochsTaken: number } {
    return { requests: this.#requests, ...this.#batcher.stats() }
  }

  /** @throws MqError `partition_not_found`, `invalid_request` */
  add(topic: TopicInfo, message: BatchedMessage): void {
    this.#batcher.add(topic, message)
  }

  /** Sends at once when a full request has gathered. */
  sendFull(): void {
    if (this.#batcher.mayBeFull && !this.#stopping.signal.aborted)
      this.#send(this.#deps.clock.monotonic(), true)
  }

  /** Sends what there is to send, once all that is being said now has been said. */
  schedule(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    queueMicrotask(() => {
      this.#isScheduled = false
      this.#pump()
    })
  }

  /** Ends all messages: those that may have been stored as unknown, the others with `error`. Nothing is sent any more. */
  stop(error: MqError): void {
    this.#unlisten()
    this.#stopping.abort()
    this.#batcher.end(error)
    this.#timer?.cancel()
  }

  #pump(): void {
    if (this.#stopping.signal.aborted) return
    this.#events.gathering()
    const now = this.#deps.clock.monotonic()
    this.#send(now)
    if (this.#batcher.wantsProducerId) void this.#openProducer()
    if (this.#batcher.takeRouteWish()) this.#deps.routes.wish()
    this.#arm()
  }

  #send(now: number, onlyFull = false): void {
    for (;;) {
      const request = this.#batcher.nextRequest(now, onlyFull)
      if (request === undefined) return
      void this.#deliver(request)
    }
  }

  /** Sets the timer to what comes first: a pause or linger that ends, or the next sweep. */
  #arm(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    if (this.#batcher.isIdle && !this.#events.isWaiting()) return
    const { clock } = this.#deps
    const now = clock.monotonic()
    if (this.#sweepsAt <= now) this.#sweepsAt = now + this.#sweepMs
    const wakesAt = Math.min(this.#batcher.wakesAt ?? this.#sweepsAt, this.#sweepsAt)
    this.#timer = clock.after(Math.max(1, wakesAt - now), () => this.#wake())
  }

  #wake(): void {
    const now = this.#deps.clock.monotonic()
    this.#timer = undefined
    if (now >= this.#sweepsAt) {
      this.#batcher.expire(now)
      this.#events.swept(now)
    }
    this.#pump()
  }

  async #deliver(request: ProduceRequest): Promise<void> {
    this.#requests += 1
    const outcomes = await this.#attempt(request)
    this.#batcher.answered(request, outcomes, this.#deps.clock.monotonic())
    this.#pump()
  }

  /** Never rejects: a failure is the outcome of every run. */
  async #attempt({ outlet, runs, lanes }: ProduceRequest): Promise<AttemptOutcome[]> {
    try {
      const caller = await this.#deps.pool.caller(outlet.address)
      const slices = runs.map(({ bytes }) => bytes)
      const fields = {
        acks: outlet.acks,
        runs: runs.map((run, index) => ({
          topicId: run.target.topicId,
          partition: run.target.partition,
          bytes: slices[index]?.length ?? 0,
          count: run.count,
        })),
      }
      if (outlet.acks === 'none') {
        caller.tell(produce, fields, slices)
        if (caller.bufferedBytes > untakenBytes) await caller.drained()
        return lanes.map(() => ({ kind: 'acked', result: {} }))
      }
      const timeoutMs = this.#deps.requestTimeoutMs
      const { reply } = await caller.call(produce, fields, { timeoutMs, slices })
      return runs.map((_, index) => outcomeOf(reply.results[index]))
    } catch (thrown) {
      const error = asMqError(thrown)
      return runs.map(() => ({ kind: 'failed', error }))
    }
  }

  async #openProducer(): Promise<void> {
    if (this.#isOpening) return
    this.#isOpening = true
    const { coordinators, clock, random } = this.#deps
    const { signal } = this.#stopping
    const backoff = new Backoff(random, openPause)
    while (this.#batcher.wantsProducerId && !signal.aborted) {
      try {
        const how = { withinMs: openWithinMs, isRepeatable: true }
        const opened = await coordinators.call(producerOpen, {}, how)
        this.#batcher.identify(producerId(opened.producerId))
      } catch (thrown) {
        const error = asMqError(thrown)
        if (error.retriable === 'no') this.#batcher.end(error)
        await sleep(clock, backoff.nextMs(), signal)
      }
    }
    this.#isOpening = false
    this.schedule()
  }
}

function outcomeOf(result: RunResult | undefined): AttemptOutcome {
  if (result === undefined) {
    const what = 'the broker answered fewer runs than it was sent'
    return { kind: 'failed', error: new MqError('internal', what) }
  }
  if (result.error === undefined) return { kind: 'acked', result }
  const { error, what = 'the broker refused the run', retryAfterMs } = result
  const detail = retryAfterMs === undefined ? {} : { retryAfterMs }
  return { kind: 'failed', error: new MqError(errorName(error), what, detail) }
}
