/** Kafka with @platformatic/kafka: a topic with a partition for each stream, a batch is one request. */
import { MqError } from '@popmq/client'
import { closeAll } from '@popmq/kit'
import { loadPackage } from '../peers-folder.ts'
import { fetchAll, type Fetches } from './kafka-fetching.ts'
import type { Outgoing, PeerAddress, PeerClient, PeerRun, Taking } from './peer-client.ts'

interface Client {
  close(): Promise<void>
}

interface Topics {
  readonly topics: ReadonlyMap<
    string,
    { readonly id: string; readonly partitions: readonly { readonly leader: number }[] }
  >
}

interface Producer extends Client {
  metadata(of: { topics: readonly string[] }): Promise<Topics>
  send(given: { acks: number; messages: readonly object[] }): Promise<unknown>
}

interface Consumer extends Client, Fetches {
  metadata(of: { topics: readonly string[] }): Promise<Topics>
}

interface Admin extends Client {
  createTopics(given: {
    topics: readonly string[]
    partitions: number
    replicas: number
  }): Promise<unknown>
  listOffsets(given: { topics: readonly object[] }): Promise<unknown>
  deleteTopics(given: { topics: readonly string[] }): Promise<void>
}

interface Package {
  readonly Admin: new (options: object) => Admin
  readonly Consumer: new (options: object) => Consumer
  readonly Producer: new (options: object) => Producer
  readonly stringSerializer: (text: string) => Buffer
  readonly FetchIsolationLevels: { readonly READ_UNCOMMITTED: number }
}

const allReplicas = -1
/** Longer than a run: none waits for the server to say again where partitions are. */
const metadataMaxAge = 3_600_000
/** A topic that was made is led a little later. */
const untilLed = { retries: 200, retryDelay: 20 }
/** What is sent again would come behind the next batches, and twice where other partitions had it: a run fails instead. */
const neverAgain = { retries: 0, repeatOnStaleMetadata: false }
/** No batch waits for the answer of another: they are as many as the producing process has under way. */
const maxInflights = 1_000
const waitMs = 500

export async function connectKafka({ port }: PeerAddress): Promise<PeerClient> {
  const peer = await loadPackage<Package>('@platformatic/kafka')
  const options = { clientId: 'bench', bootstrapBrokers: [`127.0.0.1:${port}`], metadataMaxAge }
  const admin = new peer.Admin({ ...options, ...untilLed })
  const serializers = { key: peer.stringSerializer }
  const producer = new peer.Producer({ ...options, ...neverAgain, maxInflights, serializers })
  const openConsumer = (name: string): Consumer =>
    new peer.Consumer({
      ...options,
      groupId: name,
      maxWaitTime: waitMs,
      // Without transactions all is committed: it is not looked for.
      isolationLevel: peer.FetchIsolationLevels.READ_UNCOMMITTED,
    })
  const noAcks = (): Promise<never> =>
    Promise.reject(new MqError('invalid_request', 'a group keeps no acks of single messages'))
  return {
    create: async (run) => {
      await createTopic(admin, run)
      // Behind that, batches wait for nothing: each is written to the socket as it is sent, so they stay in order.
      await producer.metadata({ topics: [run.name] })
    },
    send: (run, batch) => send(producer, run, batch),
    read: (run, taking) => read(openConsumer(run.name), run, taking),
    openPop: noAcks,
    unacked: noAcks,
    remove: ({ name }) => admin.deleteTopics({ topics: [name] }),
    close: () => closeAll([admin, producer]),
  }
}

/** Resolves when each partition has a leader that answers. */
async function createTopic(admin: Admin, { name, streams }: PeerRun): Promise<void> {
  await admin.createTopics({ topics: [name], partitions: streams, replicas: 1 })
  const partitions = Array.from({ length: streams }, (_, partitionIndex) => ({ partitionIndex }))
  await admin.listOffsets({ topics: [{ name, partitions }] })
}

async function send(
  producer: Producer,
  { name }: PeerRun,
  batch: readonly Outgoing[],
): Promise<void> {
  const messages = batch.map(({ key, value, stream }) => ({
    topic: name,
    key,
    value,
    partition: stream,
  }))
  await producer.send({ acks: allReplicas, messages })
}

/** Without a group, and no progress is kept: readers of the other peers keep none. */
async function read(consumer: Consumer, { name }: PeerRun, { take }: Taking): Promise<void> {
  try {
    const topic = (await consumer.metadata({ topics: [name] })).topics.get(name)
    const leader = topic?.partitions[0]?.leader
    if (topic === undefined || leader === undefined)
      throw new MqError('topic_not_found', `kafka knows no topic ${name}`)
    // One node leads all.
    const from = { node: leader, topicId: topic.id, partitions: topic.partitions.length }
    await fetchAll(consumer, from, take)
  } finally {
    await consumer.close()
  }
}
