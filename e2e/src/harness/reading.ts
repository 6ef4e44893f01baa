import { type Client, type Message, type OutgoingMessage, type Producer } from '@popmq/client'
import type { Cluster } from './cluster.ts'
import type { History, Sighting } from './history.ts'
import type { CommitEvent } from './key-skew.ts'
import type { JsonLine } from './program.ts'

/** Everything that is visible in a topic now, read by the client library. */
export async function readAll(client: Client, topic: string): Promise<Message[]> {
  const bounds = await client.admin().offsets(topic)
  let left = bounds.reduce((sum, { low, high }) => sum + high - low, 0)
  await using consumer = client.pullConsumer({ topics: [topic], from: 'earliest' })
  const all: Message[] = []
  while (left > 0) {
    const messages = await consumer.receive({ waitMs: 30_000 })
    if (messages.length === 0) throw new Error(`${left} messages of ${topic} did not come`)
    all.push(...messages)
    left -= messages.length
  }
  return all
}

/** Reads a topic from its first message on until it is stopped, and keeps what it saw. */
export class RunningReader {
  readonly seen: Message[] = []
  readonly #stop = new AbortController()
  readonly #ended: Promise<void>

  constructor(client: Client, topic: string) {
    this.#ended = this.#read(client, topic)
  }

  /** @throws MqError what reading failed with */
  async stop(): Promise<void> {
    this.#stop.abort()
    await this.#ended
  }

  async #read(client: Client, topic: string): Promise<void> {
    await using consumer = client.pullConsumer({ topics: [topic], waitMs: 1_000 })
    const { signal } = this.#stop
    for await (const { messages } of consumer.batches({ signal })) this.seen.push(...messages)
  }
}

/** Everything in a topic as `popmq consume` prints it. */
export async function consumeAll(cluster: Cluster, topic: string): Promise<readonly JsonLine[]> {
  const { lines } = await cluster.done('consume', topic, '--from', 'earliest', '--until-idle', '1s')
  return lines
}

/** How many messages of a topic are visible: acknowledged, or about to be. */
export async function visibleCount(client: Client, topic: string): Promise<number> {
  const bounds = await client.admin().offsets(topic)
  return bounds.reduce((sum, { high }) => sum + high, 0)
}

/** A commit as a message of `topic`, with its author as the key. */
export function toMessage(topic: string, event: CommitEvent): OutgoingMessage {
  return { topic, key: event.author, value: event }
}

/** What a reader saw, for the history: the `id` in the value names the message. */
export function sightings(messages: Iterable<Message | JsonLine>): Sighting[] {
  return [...messages].map((message) => {
    const { partition, offset, key, value } = message as Pick<
      Message,
      'partition' | 'offset' | 'key' | 'value'
    >
    return { partition, offset, key: key ?? null, id: (value as { readonly id: string }).id }
  })
}

/** Sends a batch and writes down what became of each message. */
export async function sendInto(
  history: History,
  producer: Producer,
  messages: readonly OutgoingMessage[],
): Promise<void> {
  const ids = messages.map(({ value, key }) => {
    const { id } = value as { readonly id: string }
    history.sent(id, key)
    return id
  })
  const results = await producer.sendBatchSettled(messages)
  for (const [index, { receipt }] of results.entries()) {
    const id = ids[index]
    if (receipt !== undefined && id !== undefined) history.acked(id, receipt)
  }
}
