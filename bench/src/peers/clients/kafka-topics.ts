/** Kafka with KafkaJS: a topic with a partition for each stream, a batch is one call, a consumer takes what a fetch brought. */
import { MqError } from '@popmq/client'
import { closeAll, deferred, present } from '@popmq/kit'
import { loadPackage } from '../peers-folder.ts'
import { type MakesProducers, Producing } from './kafka-producing.ts'
import { type PeerAddress, type PeerClient, type PeerRun, type Taking } from './peer-client.ts'

interface Fetched {
  readonly batch: {
    readonly partition: number
    readonly messages: readonly { readonly value: Buffer }[]
  }
}

interface Crash {
  readonly error: Error
  /** It begins again by itself: the first group waits until the server has made room for groups. */
  readonly restart: boolean
}

interface Consumer {
  on(event: 'consumer.crash', listener: (crash: { readonly payload: Crash }) => void): void
  connect(): Promise<void>
  subscribe(given: { topics: readonly string[]; fromBeginning: boolean }): Promise<void>
  run(given: {
    readonly autoCommit: boolean
    readonly eachBatch: (fetched: Fetched) => Promise<void>
  }): Promise<void>
  disconnect(): Promise<void>
}

interface Admin {
  connect(): Promise<void>
  createTopics(given: { waitForLeaders: boolean; topics: readonly object[] }): Promise<boolean>
  deleteTopics(given: { topics: readonly string[] }): Promise<void>
  disconnect(): Promise<void>
}

interface Kafka extends MakesProducers {
  admin(): Admin
  consumer(options: object): Consumer
}

interface Package {
  readonly Kafka: new (options: object) => Kafka
  readonly logLevel: { readonly NOTHING: number }
}

const waitMs = 500

export async function connectKafka({ port }: PeerAddress): Promise<PeerClient> {
  const peer = await loadPackage<Package>('kafkajs')
  // Calls fail by themselves.
  const logLevel = peer.logLevel.NOTHING
  const kafka = new peer.Kafka({ clientId: 'bench', brokers: [`127.0.0.1:${port}`], logLevel })
  const admin = kafka.admin()
  await admin.connect()
  const producing = new Map<string, Producing>()
  const noAcks = (): Promise<never> =>
    Promise.reject(new MqError('invalid_request', 'a group keeps no acks of single messages'))
  return {
    create: async ({ name, streams }) => {
      const topic = { topic: name, numPartitions: streams, replicationFactor: 1 }
      await admin.createTopics({ waitForLeaders: true, topics: [topic] })
      producing.set(name, await Producing.open(kafka, name))
    },
    send: ({ name }, batch) => present(producing.get(name), 'create comes first').send(batch),
    read: (run, taking) => read(kafka, run, taking),
    openPop: noAcks,
    unacked: noAcks,
    remove: async ({ name }) => {
      await producing.get(name)?.close()
      producing.delete(name)
      await admin.deleteTopics({ topics: [name] })
    },
    close: () => closeAll([{ close: () => admin.disconnect() }, ...producing.values()]),
  }
}

/** A group of one, which commits no progress: readers of the other peers keep none. */
async function read(kafka: Kafka, { name }: PeerRun, { take }: Taking): Promise<void> {
  const done = deferred()
  const consumer = kafka.consumer({ groupId: name, maxWaitTimeInMs: waitMs })
  consumer.on('consumer.crash', ({ payload: { error, restart } }) => {
    if (!restart) done.reject(error)
  })
  const eachBatch = ({ batch: { partition, messages } }: Fetched): Promise<void> => {
    try {
      for (const { value } of messages) if (take(value, partition)) done.resolve()
    } catch (error) {
      done.reject(error instanceof Error ? error : new Error(String(error)))
    }
    return Promise.resolve()
  }
  await consumer.connect()
  try {
    await consumer.subscribe({ topics: [name], fromBeginning: true })
    await Promise.all([consumer.run({ autoCommit: false, eachBatch }), done.promise])
  } finally {
    await consumer.disconnect()
  }
}
