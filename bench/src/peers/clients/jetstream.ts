/** NATS JetStream with its own client: publishes of a batch are all under way at once, consumers pull ahead. */
import { deferred } from '@popmq/kit'
import { loadPackage } from '../peers-folder.ts'
import { AckBatch } from './ack-batch.ts'
import {
  type PeerAddress,
  type PeerClient,
  type PeerRun,
  type PopGiven,
  type Popping,
  streamName,
  streamNames,
  type Taking,
} from './peer-client.ts'

interface Delivered {
  readonly data: Uint8Array
  ack(): void
  /** Resolves when the server has said that it took the ack. */
  ackAck(): Promise<boolean>
}

interface Consumer {
  consume(options: {
    readonly max_messages: number
    readonly callback: (message: Delivered) => void
  }): Promise<{ close(): Promise<unknown> }>
}

interface Jetstream {
  publish(subject: string, value: Uint8Array): Promise<{ readonly seq: number }>
  readonly consumers: { get(stream: string, name?: string): Promise<Consumer> }
}

interface Admin {
  readonly streams: {
    add(config: object): Promise<unknown>
    delete(stream: string): Promise<boolean>
  }
  readonly consumers: {
    add(stream: string, config: object): Promise<unknown>
    info(
      stream: string,
      name: string,
    ): Promise<{ readonly num_pending: number; readonly num_ack_pending: number }>
  }
}

interface Connection {
  flush(): Promise<void>
  close(): Promise<void>
}

interface Transport {
  connect(options: object): Promise<Connection>
}

interface Package {
  jetstream(connection: Connection, options: object): Jetstream
  jetstreamManager(connection: Connection): Promise<Admin>
}

const group = 'bench'
/** Pulled ahead of what is read, and by each consumer of a group. */
const readAhead = 4_000
const popAhead = 256
const answerMs = 60_000

export async function connectJetstream(
  { port }: PeerAddress,
  { isAckAnswered }: { isAckAnswered: boolean },
): Promise<PeerClient> {
  const transport = await loadPackage<Transport>('@nats-io/transport-node')
  const peer = await loadPackage<Package>('@nats-io/jetstream')
  const connection = await transport.connect({ servers: `127.0.0.1:${port}` })
  const jetstream = peer.jetstream(connection, { timeout: answerMs })
  const admin = await peer.jetstreamManager(connection)
  return {
    create: (run) => create(admin, run),
    send: async (run, batch) => {
      const published = batch.map(({ stream, key, value }) =>
        jetstream.publish(`${streamName(run, stream)}.${key}`, value),
      )
      await Promise.all(published)
    },
    read: (run, taking) => read(jetstream, run, taking),
    openPop: (given) => openPop({ jetstream, connection, isAckAnswered }, given),
    unacked: async (run) => {
      const infos = streamNames(run).map((name) => admin.consumers.info(name, group))
      const counts = (await Promise.all(infos)).map(
        (info) => info.num_pending + info.num_ack_pending,
      )
      return counts.reduce((sum, count) => sum + count, 0)
    },
    remove: async (run) => {
      for (const name of streamNames(run)) await admin.streams.delete(name)
    },
    close: () => connection.close(),
  }
}

async function create(admin: Admin, run: PeerRun): Promise<void> {
  for (const name of streamNames(run)) {
    await admin.streams.add({ name, subjects: [`${name}.*`], storage: 'file', num_replicas: 1 })
    await admin.consumers.add(name, {
      durable_name: group,
      ack_policy: 'explicit',
      max_ack_pending: -1,
      ack_wait: answerMs * 1e6,
    })
  }
}

/** An ordered consumer for each stream: it has no acks. */
async function read(jetstream: Jetstream, run: PeerRun, { take }: Taking): Promise<void> {
  const done = deferred()
  const opened: { close(): Promise<unknown> }[] = []
  const open = async (name: string, stream: number): Promise<void> => {
    const consumer = await jetstream.consumers.get(name)
    const callback = ({ data }: Delivered): void => {
      try {
        if (take(data, stream)) done.resolve()
      } catch (error) {
        done.reject(error instanceof Error ? error : new Error(String(error)))
      }
    }
    opened.push(await consumer.consume({ max_messages: readAhead, callback }))
  }
  await Promise.all([...streamNames(run).map(open), done.promise])
  await Promise.all(opened.map((each) => each.close()))
}

interface Acking {
  readonly jetstream: Jetstream
  readonly connection: Connection
  readonly isAckAnswered: boolean
}

/**
 * Plain acks go out without an answer: a ping behind each batch of them says that the server has them. With double acks
 * each has an answer of its own.
 */
async function openPop(acking: Acking, given: PopGiven): Promise<Popping> {
  const { jetstream, connection, isAckAnswered } = acking
  const { run, consumers, firstConsumer, batch: size } = given
  const underWay = new Set<Promise<unknown>>()
  const settle = (batch: readonly Delivered[]): void => {
    if (!isAckAnswered) for (const message of batch) message.ack()
    const answered: Promise<unknown> = isAckAnswered
      ? Promise.all(batch.map((message) => message.ackAck()))
      : connection.flush()
    const told = answered
      .then(() => given.acked(batch.map(({ data }) => data)))
      .catch(given.failed)
      .finally(() => underWay.delete(told))
    underWay.add(told)
  }
  const opened = await Promise.all(
    Array.from({ length: consumers }, (_, index) => {
      const stream = (firstConsumer + index) % run.streams
      return jetstream.consumers.get(streamName(run, stream), group)
    }),
  )
  const batches = opened.map(() => new AckBatch<Delivered>(size, settle))
  const consuming: { close(): Promise<unknown> }[] = []
  return {
    start: async () => {
      for (const [index, consumer] of opened.entries()) {
        const callback = (message: Delivered): void => batches[index]?.add(message)
        consuming.push(await consumer.consume({ max_messages: popAhead, callback }))
      }
    },
    stop: async () => {
      await Promise.all(consuming.map((each) => each.close()))
      for (const batch of batches) batch.close()
      await Promise.all(underWay)
    },
  }
}
