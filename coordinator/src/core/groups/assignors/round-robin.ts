import { present } from '@popmq/kit'
import { type AssignorInput, type Placement, readersByTopic } from './assignor.ts'

/** Deals all partitions, topic by topic, to the members in turn, passing over those that do not read the topic. */
export function roundRobin(input: AssignorInput): Placement[] {
  const readers = readersByTopic(input)
  const { members, topics } = input
  const placements: Placement[] = []
  let turn = 0
  for (const { topicId, partitions } of topics) {
    const reading = new Set(readers.get(topicId))
    if (reading.size === 0) continue
    for (let partition = 0; partition < partitions; partition += 1) {
      let member = present(members[turn % members.length], 'there is a member')
      while (!reading.has(member)) {
        turn += 1
        member = present(members[turn % members.length], 'there is a member')
      }
      turn += 1
      placements.push({ topicId, partition, memberId: member.memberId })
    }
  }
  return placements
}
