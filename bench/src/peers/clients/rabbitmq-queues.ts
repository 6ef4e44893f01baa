/** RabbitMQ's quorum queues, or its streams, with amqplib: confirms per batch, prefetch, one ack for many messages. */
import { MqError } from '@popmq/client'
import { deferred } from '@popmq/kit'
import { loadPackage } from '../peers-folder.ts'
import { AckBatch } from './ack-batch.ts'
import {
  type Outgoing,
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
  readonly content: Buffer
}

interface Channel {
  on(event: 'error', listener: (error: Error) => void): void
  assertQueue(name: string, options: object): Promise<unknown>
  checkQueue(name: string): Promise<{ readonly messageCount: number }>
  deleteQueue(name: string): Promise<unknown>
  prefetch(count: number): Promise<unknown>
  consume(
    name: string,
    deliver: (message: Delivered | null) => void,
    options?: object,
  ): Promise<unknown>
  ack(message: Delivered, allUpTo: boolean): void
  close(): Promise<void>
}

interface ConfirmChannel extends Channel {
  sendToQueue(
    name: string,
    value: Buffer,
    options: object,
    confirmed: (error: Error | null) => void,
  ): boolean
}

interface Connection {
  on(event: 'error', listener: (error: Error) => void): void
  createChannel(): Promise<Channel>
  createConfirmChannel(): Promise<ConfirmChannel>
  close(): Promise<void>
}

interface Package {
  readonly connect: (url: string, socketOptions: object) => Promise<Connection>
}

type QueueType = 'quorum' | 'stream'

const popPrefetch = 256
const readPrefetch = 1_000

export async function connectRabbitmqQueues(
  { port }: PeerAddress,
  type: QueueType,
): Promise<PeerClient> {
  const { connect } = await loadPackage<Package>('amqplib')
  const connection = await connect(`amqp://guest:guest@127.0.0.1:${port}`, { noDelay: true })
  // Calls fail by themselves.
  const tell = (error: Error): void =>
    void process.stderr.write(`rabbitmq client: ${error.message}\n`)
  connection.on('error', tell)
  const channel = await connection.createConfirmChannel()
  channel.on('error', tell)
  return {
    create: async (run) => {
      for (const name of streamNames(run))
        await channel.assertQueue(name, { arguments: { 'x-queue-type': type } })
    },
    send: (run, batch) => send(channel, run, batch),
    read: (run, taking) => read({ connection, type }, run, taking),
    openPop: (given) => openPop(connection, given),
    unacked: async (run) => {
      const checks = streamNames(run).map((name) => channel.checkQueue(name))
      return (await Promise.all(checks)).reduce((sum, { messageCount }) => sum + messageCount, 0)
    },
    remove: async (run) => {
      for (const name of streamNames(run)) await channel.deleteQueue(name)
    },
    close: () => connection.close(),
  }
}

function send(channel: ConfirmChannel, run: PeerRun, batch: readonly Outgoing[]): Promise<void> {
  const all = deferred()
  let left = batch.length
  const confirmed = (error: Error | null): void => {
    left -= 1
    if (error !== null) all.reject(new MqError('internal', 'a message was not confirmed'))
    else if (left === 0) all.resolve()
  }
  for (const { stream, key, value } of batch) {
    const options = { persistent: true, messageId: key }
    channel.sendToQueue(streamName(run, stream), value, options, confirmed)
  }
  return all.promise
}

async function read(
  { connection, type }: { connection: Connection; type: QueueType },
  run: PeerRun,
  { take }: Taking,
): Promise<void> {
  const done = deferred()
  const channels: Channel[] = []
  const options = type === 'stream' ? { arguments: { 'x-stream-offset': 'first' } } : {}
  const open = async (name: string, stream: number): Promise<void> => {
    const channel = await connection.createChannel()
    channel.on('error', done.reject)
    channels.push(channel)
    await channel.prefetch(readPrefetch)
    let unacked = 0
    const deliver = (message: Delivered | null): void => {
      if (message === null) return done.reject(new MqError('internal', `${name} went away`))
      try {
        if (take(message.content, stream)) done.resolve()
      } catch (error) {
        done.reject(error instanceof Error ? error : new Error(String(error)))
      }
      unacked += 1
      if (unacked < readPrefetch / 4) return
      channel.ack(message, true)
      unacked = 0
    }
    await channel.consume(name, deliver, options)
  }
  await Promise.all([...streamNames(run).map(open), done.promise])
  await Promise.all(channels.map((channel) => channel.close()))
}

/** A channel for each consumer. An ack has no answer: it counts when it is sent, and `unacked` checks at the end. */
async function openPop(connection: Connection, given: PopGiven): Promise<Popping> {
  const { run, consumers, firstConsumer, batch: size } = given
  const opening = Array.from({ length: consumers }, () => connection.createChannel())
  const channels = await Promise.all(opening)
  const batches = channels.map((channel) => {
    channel.on('error', given.failed)
    return new AckBatch<Delivered>(size, (batch) => {
      const last = batch.at(-1)
      if (last !== undefined) channel.ack(last, true)
      given.acked(batch.map(({ content }) => content))
    })
  })
  return {
    start: async () => {
      for (const [index, channel] of channels.entries()) {
        const name = streamName(run, (firstConsumer + index) % run.streams)
        await channel.prefetch(popPrefetch)
        await channel.consume(name, (message) => {
          if (message === null) given.failed(new MqError('internal', `${name} went away`))
          else batches[index]?.add(message)
        })
      }
    },
    stop: async () => {
      for (const batch of batches) batch.close()
      await Promise.all(channels.map((channel) => channel.close()))
    },
  }
}
