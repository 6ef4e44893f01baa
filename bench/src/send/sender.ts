/** The sending process: `send`, message by message, as a user writes it. */
import { type AckLevel, type Client, connect, type Producer } from '@popmq/client'
import { present } from '@popmq/kit'
import { LatencyHistogram } from '../latency-at-rate/latency-histogram.ts'
import { sharedMs } from '../monotonic.ts'
import { takePart } from '../participant.ts'
import type { SentInFlight, SentOneByOne, SendGiven } from './sides.ts'

let client: Client | undefined
let producer: Producer | undefined

takePart({
  connect: async ({ servers, acks }: { servers: string; acks: AckLevel }) => {
    client = await connect(servers, { client: 'popmq-bench-sender' })
    producer = client.producer({ acks })
    return {}
  },
  /** Each waits for the one before. */
  oneByOne: async ({ topic, messages, sizeBytes }: SendGiven): Promise<SentOneByOne> => {
    const to = present(producer, 'connect comes before sending')
    const value = new Uint8Array(sizeBytes).fill(0x61)
    const took = new LatencyHistogram()
    for (let message = 0; message < messages; message += 1) {
      const sentMs = sharedMs()
      await to.send({ topic, value })
      took.record(sharedMs() - sentMs)
    }
    return { took: took.encode() }
  },
  /** As many under way at once, each followed by the next when it is acknowledged. */
  inFlight: async (given: SendGiven & { inFlight: number }): Promise<SentInFlight> => {
    const to = present(producer, 'connect comes before sending')
    const { topic, messages, sizeBytes, inFlight } = given
    const value = new Uint8Array(sizeBytes).fill(0x61)
    let sent = 0
    const lane = async (): Promise<void> => {
      while (sent < messages) {
        sent += 1
        await to.send({ topic, value })
      }
    }
    const firstSendMs = sharedMs()
    await Promise.all(Array.from({ length: inFlight }, lane))
    return { firstSendMs, lastAckMs: sharedMs() }
  },
})
