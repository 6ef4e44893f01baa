/** A process that is one member of the measured group: it reads what it is given, and tells when. */
import { type Client, connect, type GroupConsumer, type TopicPartition } from '@popmq/client'
import { present } from '@popmq/kit'
import { sharedMs } from '../monotonic.ts'
import { takePart } from '../participant.ts'
import type { JoinGiven, Told } from './sides.ts'
import { Tenures } from './tenures.ts'

let client: Client | undefined
let consumer: GroupConsumer | undefined
let failure: Error | undefined
const tenures = new Tenures()

takePart({
  connect: async ({ servers }: { servers: string }) => {
    client = await connect(servers, { client: 'popmq-bench-member' })
    return {}
  },
  join: ({ group, topic }: JoinGiven) => {
    const end = (partitions: readonly TopicPartition[]): void => {
      for (const { partition } of partitions) tenures.end(partition)
    }
    consumer = present(client, 'connect comes before join').pullConsumer({
      group,
      topics: [topic],
      onAssign: (partitions) => {
        for (const { partition } of partitions) tenures.begin(partition)
      },
      onRevoke: end,
      onLost: end,
    })
    read(consumer).catch((error: unknown) => {
      failure = error instanceof Error ? error : new Error(String(error))
    })
    return Promise.resolve({})
  },
  /** @throws what reading failed with */
  tell: () => Promise.resolve(told()),
  leave: async () => {
    await present(consumer, 'join comes before leave').close()
    return told()
  },
})

async function read(from: GroupConsumer): Promise<void> {
  for await (const { partitions } of from) {
    const nowMs = sharedMs()
    for (const { partition } of partitions) tenures.received(partition, nowMs)
  }
}

function told(): Told {
  if (failure !== undefined) throw failure
  return { tenures: tenures.all() }
}
