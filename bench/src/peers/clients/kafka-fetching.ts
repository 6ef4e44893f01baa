/** How Kafka's messages are read in the fastest way: fetches of all partitions, and the records as they lie in them. */
import type { Taking } from './peer-client.ts'

interface Position {
  readonly partition: number
  fetchOffset: bigint
  readonly partitionMaxBytes: number
  readonly currentLeaderEpoch: number
  readonly lastFetchedEpoch: number
}

/** Records that were stored together. */
interface Stored {
  readonly firstOffset: bigint
  readonly lastOffsetDelta: number
  readonly records: readonly { readonly offsetDelta: number; readonly value: Uint8Array }[]
}

interface Answer {
  readonly partitionIndex: number
  /** Absent: nothing came. */
  readonly records?: readonly Stored[]
}

export interface Fetches {
  fetch(given: {
    readonly node: number
    readonly topics: readonly { topicId: string; partitions: readonly Position[] }[]
  }): Promise<{ readonly responses: readonly { readonly partitions: readonly Answer[] }[] }>
}

export interface FetchedTopic {
  /** That leads all partitions. */
  readonly node: number
  readonly topicId: string
  readonly partitions: number
}

/** As clients of Kafka ask for by default. */
const partitionMaxBytes = 1_048_576
const anyEpoch = -1

/** Reads from the first offset on, until `take` has the last message. */
export async function fetchAll(
  consumer: Fetches,
  { node, topicId, partitions }: FetchedTopic,
  take: Taking['take'],
): Promise<void> {
  const positions = Array.from({ length: partitions }, (_, partition) => startOf(partition))
  const given = { node, topics: [{ topicId, partitions: positions }] }
  for (;;) {
    const { responses } = await consumer.fetch(given)
    for (const response of responses)
      for (const answer of response.partitions) {
        const position = positions[answer.partitionIndex]
        if (position !== undefined && takeAnswer(answer, position, take)) return
      }
  }
}

function startOf(partition: number): Position {
  return {
    partition,
    fetchOffset: 0n,
    partitionMaxBytes,
    currentLeaderEpoch: anyEpoch,
    lastFetchedEpoch: anyEpoch,
  }
}

/** Moves the position behind what came. Returns whether the last message was in it. */
function takeAnswer(
  { partitionIndex, records = [] }: Answer,
  position: Position,
  take: Taking['take'],
): boolean {
  for (const stored of records) {
    // The server sends what was stored together as a whole, from before the offset that was asked for.
    const known = Number(position.fetchOffset - stored.firstOffset)
    for (const { offsetDelta, value } of stored.records)
      if (offsetDelta >= known && take(value, partitionIndex)) return true
    position.fetchOffset = stored.firstOffset + BigInt(stored.lastOffsetDelta + 1)
  }
  return false
}
