import { present } from '@popmq/kit'
import { type AssignorInput, type Placement, readersByTopic } from './assignor.ts'

/**
 * Cuts each topic into runs of neighbouring partitions, one for each member that reads it: partition n of topics with
 * as many partitions goes to the same member, which may join what belongs together.
 */
export function range(input: AssignorInput): Placement[] {
  const readers = readersByTopic(input)
  return input.topics.flatMap(({ topicId, partitions }) => {
    const reading = readers.get(topicId) ?? []
    if (reading.length === 0) return []
    return Array.from({ length: partitions }, (_, partition) => {
      const index = Math.floor((partition * reading.length) / partitions)
      const { memberId } = present(reading[index], 'a run belongs to a member')
      return { topicId, partition, memberId }
    })
  })
}
