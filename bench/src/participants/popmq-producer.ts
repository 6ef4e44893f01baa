/** The producing process of the real path: the public client, as a user writes it. */
import { type AckLevel, type Client, connect, type Producer } from '@popmq/client'
import { present } from '@popmq/kit'
import { sharedMs } from '../monotonic.ts'
import { takePart } from '../participant.ts'
import { writeNumber } from '../tally.ts'
import { batchesUnderWay, keys } from '../workload.ts'
import type { Produced, ProduceGiven } from './sides.ts'

let client: Client | undefined
let producer: Producer | undefined
const keyList = keys()

takePart({
  connect: async ({ servers, acks }: { servers: string; acks: AckLevel }) => {
    client = await connect(servers, { client: 'popmq-bench-producer' })
    producer = client.producer({ acks })
    return {}
  },
  produce: async (given: ProduceGiven): Promise<Produced> => {
    const firstSendMs = sharedMs()
    await produceAll(present(producer, 'connect comes before produce'), given)
    return { firstSendMs, lastAckMs: sharedMs() }
  },
  close: async () => {
    await client?.close()
    return {}
  },
})

/** Each lane has one batch under way, and takes the next one in turn when it is acknowledged. */
async function produceAll(to: Producer, given: ProduceGiven): Promise<void> {
  let next = 0
  const lane = async (): Promise<void> => {
    const messages = makeBatch(given)
    while (next < given.messages) {
      const count = Math.min(given.batch, given.messages - next)
      fillBatch(messages, next, given)
      next += count
      await to.sendBatch(count === messages.length ? messages : messages.slice(0, count))
    }
  }
  await Promise.all(Array.from({ length: batchesUnderWay(given) }, lane))
}

/** A message that is filled again and again: the producer copies what it takes. */
interface Filled {
  topic: string
  key?: string
  readonly deliverAt?: number
  readonly value: Uint8Array
}

function makeBatch({ batch, sizeBytes, topics, deliverAt }: ProduceGiven): Filled[] {
  const slab = new Uint8Array(batch * sizeBytes).fill(0x61)
  const topic = present(topics[0], 'there is a topic')
  return Array.from({ length: batch }, (_, index) => ({
    ...(deliverAt === undefined ? {} : { deliverAt }),
    topic,
    value: slab.subarray(index * sizeBytes, (index + 1) * sizeBytes),
  }))
}

/** Makes `messages` those from number `first` on. */
function fillBatch(
  messages: readonly Filled[],
  first: number,
  { topics, turns, keyed, batch }: ProduceGiven,
): void {
  const turn = Math.floor(first / batch)
  for (const [index, message] of messages.entries()) {
    const number = first + index
    writeNumber(message.value, number)
    if (keyed) message.key = present(keyList[number % keyList.length], 'keys take turns')
    if (topics.length > 1) {
      message.topic = present(
        topics[(turns === 'batch' ? turn : number) % topics.length],
        'topics take turns',
      )
    }
  }
}
