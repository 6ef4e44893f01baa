import { sleep } from '@popmq/kit'
import {
  type AckLevel,
  asMqError,
  errorName,
  MessageIds,
  MqError,
  partitionNumber,
  produce,
} from '@popmq/protocol'
import { type RunResult, topicId } from '@popmq/protocol'
import type { HistoryBook, Send } from '../history.ts'
import type { Routes, WireClient } from './wire-client.ts'
import { encodeRun, receiptsOf } from './wire-run.ts'

export type Settle = HistoryBook['settle']

export interface WireLaneParts {
  readonly client: WireClient
  readonly topic: string
  readonly topicId: number
  readonly partition: number
  readonly producerId: number
  readonly acks: AckLevel
  readonly deliverWithinMs: number
  readonly settle: Settle
}

interface Run {
  readonly sends: readonly Send[]
  readonly bytes: Uint8Array
  readonly deadlineMs: number
  /** Whether some attempt may have been carried out. */
  mayBeStored: boolean
  error: MqError | undefined
}

const mostInFlight = 5

/**
 * What one producer sends to one partition: numbered runs, up to five under way, sent again in order after a failure.
 *
 *    flowing ──an attempt fails──▶ broken              nothing new is sent until every attempt is answered
 *    broken ──all answered──▶ flowing                  what is left is sent again, in order
 *    broken ──a refusal for good, a deadline──▶ flowing  what is left is given up: failed, or unknown; a new epoch begins
 */
export class WireLane {
  readonly #parts: WireLaneParts
  readonly #ids: MessageIds
  readonly #queue: (readonly Send[])[] = []
  #window: Run[] = []
  #underWay = 0
  #isBroken = false
  #epoch = 0
  #nextBase = 0
  #routes: Routes | undefined

  constructor(parts: WireLaneParts) {
    this.#parts = parts
    this.#ids = new MessageIds(parts.client.parts.random)
  }

  /** Sends the messages as one run. */
  send(sends: readonly Send[]): void {
    this.#queue.push(sends)
    this.#pump()
  }

  #pump(): void {
    while (!this.#isBroken && this.#window.length < mostInFlight) {
      const sends = this.#queue.shift()
      if (sends === undefined) return
      const run = this.#number(sends)
      this.#window.push(run)
      this.#fire(run)
    }
  }

  #number(sends: readonly Send[]): Run {
    const { client, topicId: topic, partition, producerId, deliverWithinMs } = this.#parts
    const { clock } = client.parts
    const place = {
      topicId: topic,
      partition,
      producerId,
      producerEpoch: this.#epoch,
      base: this.#nextBase,
    }
    const next = (nowMs: number): Uint8Array => this.#ids.next(nowMs)
    const bytes = encodeRun(sends, place, { next, nowMs: clock.now() })
    this.#nextBase += sends.length
    const deadlineMs = clock.monotonic() + deliverWithinMs
    return { sends, bytes, deadlineMs, mayBeStored: false, error: undefined }
  }

  #fire(run: Run): void {
    this.#underWay += 1
    const answered = (result: RunResult | MqError): void => {
      this.#underWay -= 1
      if (result instanceof MqError) this.#failed(run, result)
      else this.#stored(run, result)
      if (this.#isBroken && this.#underWay === 0) void this.#recover()
      else this.#pump()
    }
    this.#attempt(run).then(answered, (error: unknown) => answered(asMqError(error)))
  }

  async #attempt({ bytes, sends }: Run): Promise<RunResult | MqError> {
    const { client, topicId: topic, partition, acks } = this.#parts
    this.#routes ??= await client.routes()
    const info = this.#routes.topics.find(({ id }) => id === topic)
    if (info === undefined) return new MqError('topic_not_found', 'the topic is gone')
    const caller = await client.leader(this.#routes, info, partition)
    const run = {
      topicId: topicId(topic),
      partition: partitionNumber(partition),
      bytes: bytes.length,
      count: sends.length,
    }
    const { reply } = await caller.call(
      produce,
      { acks, runs: [run] },
      { timeoutMs: 2_000, slices: [bytes] },
    )
    const [result] = reply.results
    if (result === undefined) return new MqError('internal', 'a run had no result')
    return result.error === undefined
      ? result
      : new MqError(errorName(result.error), result.what ?? '')
  }

  #stored(run: Run, result: RunResult): void {
    const { partition } = this.#parts
    for (const [index, receipt] of receiptsOf(run.sends.length, partition, result).entries()) {
      const send = run.sends[index]
      if (send !== undefined) this.#settle(send, { state: 'ok', receipt })
    }
    this.#window = this.#window.filter((other) => other !== run)
  }

  #failed(run: Run, error: MqError): void {
    this.#isBroken = true
    run.error = error
    if (error.retriable === 'unknown') run.mayBeStored = true
  }

  async #recover(): Promise<void> {
    const { client } = this.#parts
    const { clock, random } = client.parts
    const nowMs = clock.monotonic()
    const isOver = this.#window.some(
      ({ deadlineMs, error }) => nowMs > deadlineMs || error?.retriable === 'no',
    )
    if (isOver) this.#giveUp()
    else await sleep(clock, 20 + random.next() * 200)
    this.#routes = undefined
    this.#isBroken = false
    for (const run of [...this.#window]) this.#fire(run)
    this.#pump()
  }

  #giveUp(): void {
    for (const { sends, mayBeStored, error } of this.#window) {
      const state = mayBeStored ? ('unknown' as const) : ('failed' as const)
      for (const send of sends)
        this.#settle(send, { state, error: error?.name ?? 'never sent again' })
    }
    this.#window = []
    this.#epoch += 1
    this.#nextBase = 0
  }

  #settle(send: Send, outcome: Pick<Send, 'state'> & Partial<Send>): void {
    this.#parts.settle(send, { ...outcome, settledMs: this.#parts.client.parts.clock.monotonic() })
  }
}
