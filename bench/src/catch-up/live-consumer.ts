/** The consuming process of live traffic: a pull consumer that tells how long messages took. */
import { setTimeout } from 'node:timers/promises'
import { type Client, connect, MqError, type PullConsumer } from '@popmq/client'
import { present } from '@popmq/kit'
import type { TailLatency } from '../latency-at-rate/latency-histogram.ts'
import { sharedMs } from '../monotonic.ts'
import { takePart } from '../participant.ts'
import { readNumber } from '../tally.ts'
import { LiveArrivals } from './live-arrivals.ts'
import type { LiveAsked, LiveGiven } from './live-sides.ts'

const lookMs = 50
const stuckMs = 60_000

let client: Client | undefined
let failure: Error | undefined
const arrivals = new LiveArrivals()

takePart({
  connect: async ({ servers }: { servers: string }) => {
    client = await connect(servers, { client: 'popmq-bench-live-consumer' })
    return {}
  },
  start: ({ topic }: Pick<LiveGiven, 'topic'>) => {
    const consumer = present(client, 'connect comes before start').pullConsumer({ topics: [topic] })
    consume(consumer).catch((error: unknown) => {
      failure = error instanceof Error ? error : new Error(String(error))
    })
    return Promise.resolve({})
  },
  /** Waits for those that are under way. @throws MqError `timed_out`, and what reading failed with */
  latency: async (asked: LiveAsked): Promise<TailLatency> => {
    const untilMs = sharedMs() + stuckMs
    for (;;) {
      if (failure !== undefined) throw failure
      const missing = arrivals.missing(asked.spans)
      if (missing === 0) return arrivals.latency(asked)
      if (sharedMs() > untilMs)
        throw new MqError('timed_out', `${missing} live messages have not come in ${stuckMs} ms`)
      await setTimeout(lookMs)
    }
  },
})

async function consume(consumer: PullConsumer): Promise<void> {
  for await (const { messages } of consumer) {
    const nowMs = sharedMs()
    for (const { bytes } of messages) arrivals.take(readNumber(bytes), nowMs)
  }
}
