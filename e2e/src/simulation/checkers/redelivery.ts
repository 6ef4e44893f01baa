import { byPartition, type PartitionEvents } from '../group-history.ts'
import type { Checker } from '../history.ts'

/**
 * A message is handed out again only when it was not committed: not below what was acknowledged, and not below what a
 * member had when it gave the partition back in good order; but for a reset.
 */
export const redelivery: Checker = ({ group }) =>
  byPartition(group?.events ?? []).flatMap((events) =>
    [...committedAgain(events), ...releasedAgain(events)].map((what) => ({
      checker: 'redelivery',
      what: `${events.partition}: ${what}`,
    })),
  )

function committedAgain(events: PartitionEvents): string[] {
  const commits = events.of('committed')
  return events.of('handed').flatMap(({ at, event: { member, epoch, offsets } }) => {
    const [first = 0] = offsets
    const before = commits.find(
      ({ at: ackedAt, event }) =>
        event.offset > first &&
        (event.epoch < epoch || (event.epoch === epoch && ackedAt < at)) &&
        !events.mayBeReset(first, [event.asked, at]),
    )
    if (before === undefined) return []
    const { event } = before
    return [
      `${first} was handed to ${member} under epoch ${epoch}, and ${event.member} had committed ${event.offset} under epoch ${event.epoch}`,
    ]
  })
}

function releasedAgain(events: PartitionEvents): string[] {
  const handed = events.of('handed')
  const told = events.of('told')
  return events.of('released').flatMap(({ at, event: { member, epoch } }) => {
    const own = handed.filter(({ event }) => event.epoch === epoch && event.member === member)
    const last = own.at(-1)?.event.offsets.at(-1)
    // Once another has it, what is given back is what was lost.
    const isOwner = told.every(({ at: toldAt, event }) => event.epoch <= epoch || toldAt > at)
    if (last === undefined || !isOwner) return []
    const next = told.find(
      ({ at: toldAt, event }) =>
        event.epoch > epoch &&
        event.offset <= last &&
        !events.mayBeReset(event.offset, [own[0]?.at ?? at, toldAt]),
    )
    if (next === undefined) return []
    const { event } = next
    return [
      `${member} gave it back under epoch ${epoch} when it had handled ${last}, and ${event.member} goes on at ${event.offset} under epoch ${event.epoch}`,
    ]
  })
}
