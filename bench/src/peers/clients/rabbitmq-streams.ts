/** RabbitMQ streams with their own protocol and client, which gathers messages into chunks. */
import { MqError } from '@popmq/client'
import { type Deferred, deferred, present } from '@popmq/kit'
import { loadPackage } from '../peers-folder.ts'
import {
  type Outgoing,
  type PeerAddress,
  type PeerClient,
  type PeerRun,
  streamNames,
  type Taking,
} from './peer-client.ts'

interface Publisher {
  on(
    event: 'publish_confirm',
    listener: (error: number | null, ids: readonly bigint[]) => void,
  ): void
  send(value: Buffer, options: object): Promise<unknown>
  flush(): Promise<boolean>
  close(): Promise<void>
}

interface StreamsClient {
  createStream(given: { stream: string; arguments: object }): Promise<unknown>
  deleteStream(given: { stream: string }): Promise<unknown>
  declarePublisher(given: { stream: string; maxChunkLength: number }): Promise<Publisher>
  declareConsumer(
    given: { stream: string; offset: unknown },
    take: (message: { readonly content: Buffer }) => void,
  ): Promise<{ close(): Promise<unknown> }>
  close(): Promise<void>
}

interface Package {
  readonly connect: (options: object) => Promise<StreamsClient>
  readonly Offset: { first(): unknown }
}

const chunkMessages = 1_000

export async function connectRabbitmqStreams({ streamPort }: PeerAddress): Promise<PeerClient> {
  const { connect, Offset } = await loadPackage<Package>('rabbitmq-stream-js-client')
  const client = await connect({
    hostname: '127.0.0.1',
    port: present(streamPort, 'RabbitMQ listens for streams, too'),
    username: 'guest',
    password: 'guest',
    vhost: '/',
  })
  const publishing = new Map<string, Promise<Publishers>>()
  const publishersOf = (run: PeerRun): Promise<Publishers> => {
    const known = publishing.get(run.name) ?? Publishers.open(client, run)
    publishing.set(run.name, known)
    return known
  }
  const noGroups = (): Promise<never> =>
    Promise.reject(new MqError('invalid_request', 'a stream keeps no acks of single messages'))
  return {
    create: async (run) => {
      for (const stream of streamNames(run)) await client.createStream({ stream, arguments: {} })
    },
    send: async (run, batch) => (await publishersOf(run)).send(batch),
    read: (run, taking) => read({ client, first: Offset.first() }, run, taking),
    openPop: noGroups,
    unacked: noGroups,
    remove: async (run) => {
      await (await publishing.get(run.name))?.close()
      publishing.delete(run.name)
      for (const stream of streamNames(run)) await client.deleteStream({ stream })
    },
    close: () => client.close(),
  }
}

interface Confirming {
  readonly publisher: Publisher
  sent: number
  confirmed: number
}

/** A publisher for each stream. Each confirms in the order in which it sent. */
class Publishers {
  readonly #each: readonly Confirming[]
  /** The batches under way: how many of each publisher are confirmed when it is. */
  readonly #waiting = new Set<{
    readonly until: readonly number[]
    readonly done: Deferred<void>
  }>()

  private constructor(publishers: readonly Publisher[]) {
    this.#each = publishers.map((publisher) => ({ publisher, sent: 0, confirmed: 0 }))
    for (const each of this.#each) {
      each.publisher.on('publish_confirm', (error, ids) => {
        if (error !== null) this.#fail(`publishing failed with code ${error}`)
        each.confirmed += ids.length
        this.#look()
      })
    }
  }

  static async open(client: StreamsClient, run: PeerRun): Promise<Publishers> {
    const opening = streamNames(run).map((stream) =>
      client.declarePublisher({ stream, maxChunkLength: chunkMessages }),
    )
    return new Publishers(await Promise.all(opening))
  }

  async send(batch: readonly Outgoing[]): Promise<void> {
    const sending: Promise<unknown>[] = []
    for (const { stream, key, value } of batch) {
      const each = present(this.#each[stream], 'a message goes to a stream of its run')
      each.sent += 1
      sending.push(each.publisher.send(value, { messageProperties: { subject: key } }))
    }
    const done = deferred()
    this.#waiting.add({ until: this.#each.map(({ sent }) => sent), done })
    sending.push(...this.#each.map(({ publisher }) => publisher.flush()))
    await Promise.all([...sending, done.promise])
  }

  async close(): Promise<void> {
    for (const { publisher } of this.#each) await publisher.close()
  }

  #look(): void {
    for (const batch of this.#waiting) {
      if (!this.#each.every(({ confirmed }, index) => confirmed >= (batch.until[index] ?? 0)))
        return
      this.#waiting.delete(batch)
      batch.done.resolve()
    }
  }

  #fail(what: string): void {
    for (const { done } of this.#waiting) done.reject(new MqError('internal', what))
    this.#waiting.clear()
  }
}

async function read(
  { client, first }: { client: StreamsClient; first: unknown },
  run: PeerRun,
  { take }: Taking,
): Promise<void> {
  const done = deferred()
  const opened: { close(): Promise<unknown> }[] = []
  const open = async (stream: string, index: number): Promise<void> => {
    const consumer = await client.declareConsumer({ stream, offset: first }, ({ content }) => {
      try {
        if (take(content, index)) done.resolve()
      } catch (error) {
        done.reject(error instanceof Error ? error : new Error(String(error)))
      }
    })
    opened.push(consumer)
  }
  await Promise.all([...streamNames(run).map(open), done.promise])
  for (const consumer of opened) await consumer.close()
}
