/** The consuming process of the real path: the public client, as a user writes it. */
import { type Client, connect, type PullConsumer } from '@popmq/client'
import { type Deferred, deferred, present } from '@popmq/kit'
import { sharedMs } from '../monotonic.ts'
import { takePart } from '../participant.ts'
import { Tally } from '../tally.ts'
import type { Consumed, ConsumeGiven } from './sides.ts'

let client: Client | undefined
let running: Deferred<Consumed> | undefined

takePart({
  connect: async ({ servers }: { servers: string }) => {
    client = await connect(servers, { client: 'popmq-bench-consumer' })
    return {}
  },
  /** Starts to read; `finish` waits for the end. */
  start: async (given: ConsumeGiven) => {
    const consumer = present(client, 'connect comes before start').pullConsumer({
      topics: [given.topic],
    })
    const finished = deferred<Consumed>()
    running = finished
    consume(consumer, given).then(finished.resolve, finished.reject)
    return {}
  },
  finish: () => present(running, 'start comes before finish').promise,
  close: async () => {
    await client?.close()
    return {}
  },
})

async function consume(consumer: PullConsumer, given: ConsumeGiven): Promise<Consumed> {
  const tally = new Tally(given)
  for await (const { partitions } of consumer) {
    for (const { partition, messages } of partitions) {
      for (const message of messages) tally.take(message.bytes, partition)
    }
    if (tally.isComplete) break
  }
  const lastReceiveMs = sharedMs()
  await consumer.close()
  return { lastReceiveMs }
}
