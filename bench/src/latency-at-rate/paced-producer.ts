/** A producing process that keeps to a schedule, whether or not what it sent before was acknowledged. */
import { type AckLevel, type Client, connect, type Producer } from '@popmq/client'
import { deferred, present } from '@popmq/kit'
import { sharedMs } from '../monotonic.ts'
import { takePart } from '../participant.ts'
import { LatencyHistogram } from './latency-histogram.ts'
import { rest, Schedule } from './schedule.ts'
import type { Paced, PaceGiven } from './sides.ts'
import { writeStamp } from './stamp.ts'

let client: Client | undefined
let producer: Producer | undefined

takePart({
  connect: async ({ servers, acks }: { servers: string; acks: AckLevel }) => {
    client = await connect(servers, { client: 'popmq-bench-producer' })
    producer = client.producer({ acks })
    return {}
  },
  pace: (given: PaceGiven): Promise<Paced> =>
    new PacedRun(present(producer, 'connect comes before pace'), given).run(),
})

/** So that the first ones are not late before anything began. */
const leadMs = 5

class PacedRun {
  readonly #to: Producer
  readonly #given: PaceGiven
  readonly #schedule: Schedule
  readonly #startMs = sharedMs() + leadMs
  readonly #late = new LatencyHistogram()
  readonly #acknowledged = new LatencyHistogram()
  /** Resolves when all are acknowledged, or one failed. */
  readonly #ended = deferred()
  #failure: Error | undefined

  constructor(to: Producer, given: PaceGiven) {
    this.#to = to
    this.#given = given
    const { rate: perSecond, messages: count } = given
    this.#schedule = new Schedule({ startMs: this.#startMs, perSecond, count })
  }

  /** @throws MqError the first that a message failed with */
  async run(): Promise<Paced> {
    const { messages } = this.#given
    let sent = 0
    while (sent < messages && this.#failure === undefined) {
      const nowMs = sharedMs()
      const due = this.#schedule.dueBy(nowMs)
      if (due > sent) this.#send({ from: sent, to: due }, nowMs)
      sent = due
      await rest(this.#schedule.atMs(sent))
    }
    const lastSendMs = sharedMs()
    await this.#ended.promise
    if (this.#failure !== undefined) throw this.#failure
    return {
      late: this.#late.encode(),
      acknowledged: this.#acknowledged.encode(),
      messagesPerSecond: Math.round((messages * 1_000) / (lastSendMs - this.#startMs)),
    }
  }

  /** Not waited for. Those that fail end the run. */
  #send({ from, to }: { from: number; to: number }, sentMs: number): void {
    const { topic, sizeBytes, by } = this.#given
    const slab = new Uint8Array((to - from) * sizeBytes).fill(0x61)
    const messages = Array.from({ length: to - from }, (_, index) => {
      const number = from + index
      const value = slab.subarray(index * sizeBytes, (index + 1) * sizeBytes)
      const intendedMs = this.#schedule.atMs(number)
      writeStamp(value, { number, intendedMs, sentMs })
      this.#late.record(sentMs - intendedMs)
      return { topic, value }
    })
    const failed = (error: unknown): void => {
      this.#failure ??= error instanceof Error ? error : new Error(String(error))
      this.#ended.resolve()
    }
    if (by === 'sendBatch') {
      this.#to.sendBatch(messages).then(() => this.#acked(from, to), failed)
      return
    }
    for (const [index, message] of messages.entries()) {
      const number = from + index
      this.#to.send(message).then(() => this.#acked(number, number + 1), failed)
    }
  }

  #acked(from: number, to: number): void {
    const ackedMs = sharedMs()
    for (let number = from; number < to; number += 1)
      this.#acknowledged.record(ackedMs - this.#schedule.atMs(number))
    if (this.#acknowledged.count === this.#given.messages) this.#ended.resolve()
  }
}
