import { MqError, offsets, partitionNumber, type TopicInfo, topicId } from '@popmq/protocol'
import {
  type FinalPartition,
  type HistoryBook,
  partitionName,
  type PartitionName,
  type ReadMessage,
} from '../history.ts'
import type { Routes, WireClient } from './wire-client.ts'
import { WireReader } from './wire-reader.ts'

export interface FinalReaderParts {
  readonly name: string
  readonly client: WireClient
  readonly history: HistoryBook
  readonly defect: (what: string) => void
}

/** Reads every partition of every topic from its low to its high offset, however long that takes. */
export async function readEverything(
  parts: FinalReaderParts,
): Promise<Map<PartitionName, FinalPartition>> {
  const { client } = parts
  const final = new Map<PartitionName, FinalPartition>()
  const { topics } = await client.routes()
  for (const { id, sets } of topics) {
    for (let partition = 0; partition < sets.length; partition += 1) {
      const read = await client.insistOn(() => readPartition(parts, id, partition))
      final.set(partitionName(id, partition), read)
    }
  }
  return final
}

async function readPartition(
  parts: FinalReaderParts,
  id: number,
  partition: number,
): Promise<FinalPartition> {
  const { client, history, name } = parts
  const routes = await client.routes()
  const topic = routes.topics.find((known) => known.id === id)
  if (topic === undefined) throw new MqError('topic_not_found', 'a topic went while nobody deletes')
  const reader = new WireReader({ ...parts, seekBackShare: 0 })
  const at = partitionName(id, partition)
  const { low, high } = await boundsOf(client, routes, { topic, partition })
  const before = history.polls.length
  while (reader.position(at) < high) await reader.poll(routes, topic, partition)
  const messages = new Map<number, ReadMessage>()
  for (const poll of history.polls.slice(before)) {
    if (poll.reader !== name || poll.partition !== at) continue
    for (const message of poll.messages) messages.set(message.offset, message)
  }
  // Retention may have gone on meanwhile: what counts is what is kept now.
  const now = await boundsOf(client, routes, { topic, partition })
  const kept = [...messages.values()].filter((message) => message.offset >= now.low)
  return {
    low: Math.max(low, now.low),
    high: now.high,
    messages: kept.toSorted((a, b) => a.offset - b.offset),
  }
}

async function boundsOf(
  client: WireClient,
  routes: Routes,
  { topic, partition }: { topic: TopicInfo; partition: number },
): Promise<{ low: number; high: number }> {
  const caller = await client.leader(routes, topic, partition)
  const place = { topicId: topicId(topic.id), partition: partitionNumber(partition) }
  const { reply } = await caller.call(offsets, { partitions: [place] }, { timeoutMs: 2_000 })
  const [bounds] = reply.results
  if (bounds === undefined || bounds.error !== undefined)
    throw new MqError('not_leader', 'no bounds')
  return { low: bounds.low, high: bounds.high }
}
