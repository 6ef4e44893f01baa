import { type AssignorInput, type Placement, readersByTopic } from './assignor.ts'

/** The oldest member that reads a topic has all of it; the others stand by. */
export function failover(input: AssignorInput): Placement[] {
  const readers = readersByTopic(input)
  return input.topics.flatMap(({ topicId, partitions }) => {
    const oldest = readers.get(topicId)?.[0]
    if (oldest === undefined) return []
    const { memberId } = oldest
    return Array.from({ length: partitions }, (_, partition) => ({ topicId, partition, memberId }))
  })
}
