import { type FetchedPartition, type FetchResult, offset, type offsets } from '@popmq/protocol'
import { partitionKey, type PartitionKey, partitionNumber, type ReplyOf } from '@popmq/protocol'
import type { PartitionReader } from './partition-reader.ts'
import type { TagFilter } from './record-reader.ts'

/** A reader in a request, as it was when the request was made: after a seek the answer is void. */
export interface AskedReader {
  readonly reader: PartitionReader
  readonly generation: number
}

export type LocateResult = ReplyOf<typeof offsets>['results'][number]

/** One request to one broker: where starts lie (`locate`), or the next records of many partitions (`fetch`). */
export interface ReaderRequest {
  readonly kind: 'locate' | 'fetch'
  readonly address: string
  readonly asked: ReadonlyMap<PartitionKey, AskedReader>
}

export function readerKey({ topicId, partition }: PartitionReader): PartitionKey {
  return partitionKey(topicId, partitionNumber(partition))
}

/** The partitions of a fetch request. */
export function fetchedPartitions(
  { asked }: ReaderRequest,
  filter: TagFilter | undefined,
): FetchedPartition[] {
  const hashes = filter === undefined ? {} : { tagHashes: [...filter.hashes] }
  return [...asked.values()].map(({ reader }) => ({
    topicId: reader.topicId,
    partition: partitionNumber(reader.partition),
    offset: offset(reader.fetchAt),
    ...hashes,
    ...(reader.grant === undefined ? {} : { grant: reader.grant }),
  }))
}

/** The partitions of an offsets request: with a time where the start is one. */
export function locatedPartitions({ asked }: ReaderRequest) {
  return [...asked.values()].map(({ reader }) => ({
    topicId: reader.topicId,
    partition: partitionNumber(reader.partition),
    ...(reader.start instanceof Date ? { at: reader.start.getTime() } : {}),
  }))
}

/** The reader that a result is for. @returns undefined when it was not asked for, or seeked elsewhere meanwhile */
export function currentReader(
  { asked }: ReaderRequest,
  result: FetchResult | LocateResult,
): PartitionReader | undefined {
  const entry = asked.get(partitionKey(result.topicId, result.partition))
  return entry?.reader.generation === entry?.generation ? entry?.reader : undefined
}

/** Whether no answer of it could still be of use. */
export function isVoid({ asked }: ReaderRequest): boolean {
  return [...asked.values()].every(({ reader, generation }) => reader.generation !== generation)
}
