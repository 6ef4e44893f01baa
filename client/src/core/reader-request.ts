import { offset, type FetchedPartition, partitionKey, type PartitionKey } from '@popmq/protocol'
import { partitionNumber } from '@popmq/protocol'
import type { PartitionReader } from './partition-reader.ts'
import type { TagFilter } from './record-reader.ts'

/** A reader in a request, as it was when the request was made: after a seek the answer is void. */
export interface AskedReader {
  readonly reader: PartitionReader
  readonly generation: number
}

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
