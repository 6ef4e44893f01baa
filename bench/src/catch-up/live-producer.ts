/** The producing process of live traffic: sends at a steady rate, whatever comes back. */
import { type Client, connect, type MqError, type Producer } from '@popmq/client'
import { present } from '@popmq/kit'
import { rest } from '../latency-at-rate/schedule.ts'
import { sharedMs } from '../monotonic.ts'
import { takePart } from '../participant.ts'
import { writeNumber } from '../tally.ts'
import { liveSchedule } from './live-arrivals.ts'
import type { LiveGiven, LiveStarted, LiveStopped } from './live-sides.ts'

let client: Client | undefined
let running: { readonly sending: Promise<number>; readonly stop: () => void } | undefined
let failure: MqError | undefined

takePart({
  connect: async ({ servers }: { servers: string }) => {
    client = await connect(servers, { client: 'popmq-bench-live-producer' })
    return {}
  },
  start: (given: LiveGiven): Promise<LiveStarted> => {
    const producer = present(client, 'connect comes before start').producer({
      acks: 'disk',
      onError: (error) => {
        failure ??= error
      },
    })
    const stopping = new AbortController()
    const startMs = sharedMs()
    const sending = send(producer, { given, startMs, signal: stopping.signal })
    running = { sending, stop: () => stopping.abort() }
    return Promise.resolve({ startMs })
  },
  /** @throws what a message failed with */
  stop: async (): Promise<LiveStopped> => {
    const { sending, stop } = present(running, 'start comes before stop')
    stop()
    const sent = await sending
    if (failure !== undefined) throw failure
    return { sent }
  },
})

/** What is late is sent at once. @returns how many were sent, when all are settled */
async function send(
  producer: Producer,
  { given, startMs, signal }: { given: LiveGiven; startMs: number; signal: AbortSignal },
): Promise<number> {
  const { topic, partitions, sizeBytes, rate } = given
  const schedule = liveSchedule({ startMs, rate })
  let sent = 0
  while (!signal.aborted) {
    const due = schedule.dueBy(sharedMs())
    for (; sent < due; sent += 1) {
      const value = new Uint8Array(sizeBytes)
      writeNumber(value, sent)
      producer.post({ topic, partition: sent % partitions, value })
    }
    await rest(schedule.atMs(sent))
  }
  await producer.close()
  return sent
}
