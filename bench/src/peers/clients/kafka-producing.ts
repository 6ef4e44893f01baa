/** How KafkaJS sends the batches of one topic. */
import { setImmediate } from 'node:timers/promises'
import type { Outgoing } from './peer-client.ts'

interface Message {
  readonly key: string
  readonly value: Buffer
  readonly partition: number
}

export interface SentBatch {
  readonly acks: number
  readonly topicMessages: readonly {
    readonly topic: string
    readonly messages: readonly Message[]
  }[]
}

interface Producer {
  connect(): Promise<void>
  sendBatch(batch: SentBatch): Promise<unknown>
  disconnect(): Promise<void>
}

export interface MakesProducers {
  producer(options: object): Producer
}

const allReplicas = -1
/** Longer than a run: a batch that asks again would come behind the next ones. */
const metadataMaxAge = 3_600_000

/**
 * A producer for one topic: when a topic is gone, its producer finds no other. Batches are under way side by side; they
 * stay in order because each begins in a turn of its own: KafkaJS then writes it to the socket within that turn.
 */
export class Producing {
  readonly #producer: Producer
  readonly #topic: string
  #turn: Promise<unknown> = Promise.resolve()

  private constructor(producer: Producer, topic: string) {
    this.#producer = producer
    this.#topic = topic
  }

  static async open(kafka: MakesProducers, topic: string): Promise<Producing> {
    const createPartitioner =
      () =>
      ({ message }: { message: Message }): number =>
        message.partition
    const producer = kafka.producer({ metadataMaxAge, createPartitioner })
    await producer.connect()
    const opened = new Producing(producer, topic)
    // It asks where the partitions are: behind that, batches wait for nothing.
    await opened.#sendBatch([])
    return opened
  }

  async send(batch: readonly Outgoing[]): Promise<void> {
    const turn = this.#turn
    this.#turn = turn.then(() => setImmediate())
    await turn
    await this.#sendBatch(
      batch.map(({ key, value, stream }) => ({ key, value, partition: stream })),
    )
  }

  close(): Promise<void> {
    return this.#producer.disconnect()
  }

  async #sendBatch(messages: readonly Message[]): Promise<void> {
    const topicMessages = [{ topic: this.#topic, messages }]
    await this.#producer.sendBatch({ acks: allReplicas, topicMessages })
  }
}
