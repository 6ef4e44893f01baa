import { crc32 } from '@popmq/kit/checksum'
import { between, sleep } from '@popmq/kit'
import {
  errorName,
  fetch,
  type FetchResult,
  isMqError,
  MqError,
  offset,
  partitionNumber,
  RecordView,
  type TopicInfo,
  topicId,
} from '@popmq/protocol'
import {
  type HistoryBook,
  partitionName,
  type PartitionName,
  type ReadMessage,
} from '../history.ts'
import type { Routes, WireClient } from './wire-client.ts'

export interface WireReaderParts {
  readonly name: string
  readonly client: WireClient
  readonly history: HistoryBook
  /** Something was read that no broker may send. */
  readonly defect: (what: string) => void
  /** Share of polls after which it goes back to an earlier offset. */
  readonly seekBackShare: number
}

/** Reads partitions at offsets of its own and notes what it sees. */
export class WireReader {
  readonly #parts: WireReaderParts
  readonly #positions = new Map<PartitionName, number>()

  constructor(parts: WireReaderParts) {
    this.#parts = parts
  }

  /** Where it reads on. */
  position(partition: PartitionName): number {
    return this.#positions.get(partition) ?? 0
  }

  /** Polls all partitions of a topic by turns until `isOver`. */
  async follow(topic: string, isOver: () => boolean): Promise<void> {
    const { client } = this.#parts
    const { clock, random } = client.parts
    let routes: Routes | undefined
    for (let turn = 0; !isOver(); turn += 1) {
      try {
        routes ??= await client.routes()
        const info = routes.topics.find(({ name }) => name === topic)
        if (info === undefined) throw new MqError('topic_not_found', `${topic} is not there now`)
        await this.poll(routes, info, turn % info.sets.length)
      } catch (error) {
        if (!isMqError(error)) throw error
        // It is asked again; what never mends shows as a reader that does not reach the end.
        routes = undefined
        await sleep(clock, 50 + random.next() * 300)
      }
    }
  }

  /** Fetches one partition once. @throws MqError when it is not answered */
  async poll(routes: Routes, topic: TopicInfo, partition: number): Promise<void> {
    const { client } = this.#parts
    const { random } = client.parts
    const caller = await client.leader(routes, topic, partition)
    const name = partitionName(topic.id, partition)
    const from = this.position(name)
    const asked = {
      topicId: topicId(topic.id),
      partition: partitionNumber(partition),
      offset: offset(from),
    }
    const waitMs = between(random, 0, 400)
    const maxBytes = between(random, 1, 16_384)
    const timeoutMs = waitMs + 2_000
    const { reply, bytes } = await caller.call(
      fetch,
      { partitions: [asked], waitMs, maxBytes },
      { timeoutMs },
    )
    for (const result of reply.results) this.#take(result, bytes, from)
    const isBack = random.next() < this.#parts.seekBackShare
    const [result] = reply.results
    if (isBack && result !== undefined)
      this.#positions.set(name, between(random, result.low, Math.max(result.low, result.next)))
  }

  #take(result: FetchResult, bytes: Uint8Array, from: number): void {
    const { history, name: reader, client, defect } = this.#parts
    const partition = partitionName(result.topicId, result.partition)
    if (result.error !== undefined) {
      const error = errorName(result.error)
      // The one error that ends by reading elsewhere.
      if (error === 'offset_out_of_range') {
        if (from > result.high)
          defect(`${reader} stands at ${from} of ${partition}, which ends at ${result.high}`)
        this.#positions.set(partition, result.low)
      } else throw new MqError(error, result.what ?? '')
      return
    }
    const { messages, isWhole } = readMessages(bytes.subarray(0, result.bytes))
    if (!isWhole)
      defect(
        `${reader} got a record of ${partition} from ${from} on with other bytes than were written`,
      )
    const { low, high, next } = result
    const atMs = client.parts.clock.monotonic()
    history.polls.push({ reader, partition, from, messages, low, high, next, atMs })
    this.#positions.set(partition, next)
  }
}

/** The messages of one partition's bytes, each checked as the public client checks it. */
function readMessages(bytes: Uint8Array): { messages: ReadMessage[]; isWhole: boolean } {
  const record = new RecordView()
  const decoder = new TextDecoder()
  const messages: ReadMessage[] = []
  for (let at = 0; at < bytes.length; at = record.end) {
    record.move(bytes, at)
    if (!record.fits(bytes.length) || !record.crcHolds(crc32)) return { messages, isWhole: false }
    messages.push({
      offset: record.offset,
      value: decoder.decode(record.body),
      appendedAt: record.appendedAt,
    })
  }
  return { messages, isWhole: true }
}
